"""Runs a federation in Flower, with its server loop, averaging strategy and messages."""

from mpreg._validate import check_count
from mpreg.federated.federation import Round


def run_in_flower(federation, rounds, *, server=None):
    """Runs rounds of a `Federation` in Flower; returns the model with the server's weights.

    Flower's server asks each participant in turn, in this process, and its strategy `FedAvg` averages what comes back;
    attackers act in the strategy, where a server that is not honest would. After each round the weights are those of
    `Federation.run`, up to rounding. Needs `pip install "mpreg[flower]"`, which does not
    go with `mpreg[tensorflow-privacy]`.

    Source: Beutel et al., "Flower: A Friendly Federated Learning Framework", 2020.

    Args:
        federation: a `Federation` by federated averaging.
        rounds: their number, on from those before.
        server: as for `Federation.run`.

    Raises:
        ImportError: Flower is not installed.
        ValueError: a federation by federated SGD.

    Example:
    ```python
    watch = Watch(participant=0)
    run_in_flower(Federation(model, participants, local_epochs=2), 30, server=watch)
    ```
    """
    check_count("rounds", rounds, 1)
    if federation.algorithm != "fedavg":
        raise ValueError(f"Flower's strategy averages weights. Received: algorithm={federation.algorithm!r}")
    try:
        from flwr.server.client_manager import SimpleClientManager
        from flwr.server.server import Server as FlowerServer
    except ImportError as error:
        raise ImportError(
            'Flower is not installed. Use: pip install "mpreg[flower]", without tensorflow-privacy'
        ) from error
    servers = [] if server is None else server if isinstance(server, list | tuple) else [server]
    strategy, proxy = _classes()
    manager = SimpleClientManager()
    for participant in range(len(federation.participants)):
        manager.register(proxy(federation, participant))
    loop = FlowerServer(client_manager=manager, strategy=strategy(federation, servers))
    loop.set_max_workers(1)  # the participants share one model
    loop.fit(num_rounds=rounds, timeout=None)
    return federation.model


def _classes():
    """The strategy and the client of Flower, whose base classes are there only where it is installed."""
    from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
    from flwr.server.client_proxy import ClientProxy
    from flwr.server.strategy import FedAvg

    class Attacked(FedAvg):
        """Averages as Flower does, and lets servers change what is given and what counts."""

        def __init__(self, federation, servers):
            count = len(federation.participants)
            super().__init__(
                fraction_evaluate=0.0,
                min_fit_clients=count,
                min_available_clients=count,
                initial_parameters=ndarrays_to_parameters(federation.model.get_weights()),
                fit_metrics_aggregation_fn=lambda metrics: {},
            )
            self.federation, self.servers = federation, servers
            self.first = federation.rounds

        def configure_fit(self, server_round, parameters, client_manager):
            self.federation.rounds = self.first + server_round
            self.start, self.sent = parameters_to_ndarrays(parameters), {}
            asked = super().configure_fit(server_round, parameters, client_manager)
            by_number = {int(client.cid): (client, ask) for client, ask in asked}
            return [self._asked(number, *by_number[number]) for number in sorted(by_number)]

        def _asked(self, participant, client, ask):
            weights, model = self.start, self.federation.model
            for one in self.servers:
                model.set_weights(weights)
                weights = one.give(self.federation.rounds, participant, weights, model)
            self.sent[participant] = weights
            return client, type(ask)(ndarrays_to_parameters(weights), ask.config)

        def aggregate_fit(self, server_round, results, failures):
            if failures:
                raise (
                    failures[0] if isinstance(failures[0], BaseException) else RuntimeError(str(failures[0]))
                )
            number = self.federation.rounds
            returned = {
                int(client.cid): parameters_to_ndarrays(found.parameters) for client, found in results
            }
            for client, found in results:
                counted = self.federation.received(
                    number, int(client.cid), self.servers, returned[int(client.cid)]
                )
                found.parameters = ndarrays_to_parameters(counted)
            mean, told = super().aggregate_fit(server_round, results, failures)
            end = parameters_to_ndarrays(mean)
            done = Round(
                number, self.start, *([by[n] for n in sorted(by)] for by in (self.sent, returned)), end
            )
            self.federation.finish(done, self.servers)
            return mean, told

    class Participant(ClientProxy):
        """A participant that is asked in this process."""

        def __init__(self, federation, participant):
            super().__init__(str(participant))
            self.federation, self.participant = federation, participant

        def fit(self, ins, timeout, group_id):
            model = self.federation.model
            model.set_weights(parameters_to_ndarrays(ins.parameters))
            self.federation.train(self.federation.rounds, self.participant)
            records = len(self.federation.participants[self.participant][1])
            found = ndarrays_to_parameters(model.get_weights())
            return FitRes(Status(Code.OK, ""), found, records, {})

        def get_properties(self, ins, timeout, group_id):
            raise NotImplementedError

        get_parameters = evaluate = reconnect = get_properties

    return Attacked, Participant
