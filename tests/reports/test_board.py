"""TensorBoard runs, read back as TensorBoard itself reads them."""

import dataclasses
import os
import re

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import precision_recall_curve, roc_auc_score
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

import mpreg
from mpreg.reports.tensorboard import summaries, write_hparams, write_report
from mpreg.reports.tensorboard.layout import layout
from mpreg.reports.tensorboard.meter import DESCRIPTIONS, MeterRun
from mpreg.reports.tensorboard.pictures import roc_pictures
from mpreg.reports.tensorboard.run import Run

CLASSES = 3


def answers(count, sharpness, seed):
    """Softmax answers that favour the true class, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    logits = rng.normal(size=(count, CLASSES)) + sharpness * np.eye(CLASSES)[labels]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels


def report_of(sharpness=3.0, members=60, nonmembers=80):
    sides = *answers(members, sharpness, 0), *answers(nonmembers, 0.5, 1)
    return mpreg.evaluate_predictions(*sides, attacks="fast")


@pytest.fixture(scope="module")
def report():
    return report_of()


@pytest.fixture(scope="module")
def logs(report, tmp_path_factory):
    """The folder of a report and its hyperparameters, and the files in it that were left open."""
    folder = tmp_path_factory.mktemp("logs")
    assert write_report(folder, report) == str(folder / "report")
    assert write_hparams(folder, hparams={"penalty": 1.0}, report=report) == str(folder / "report")
    return folder, open_files(folder)


@pytest.fixture(scope="module")
def written(logs):
    """The run of a report, opened."""
    return open_run(logs[0] / "report")


def open_files(folder):
    """Files in a folder that this process holds open."""
    held = (os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd"))
    return sorted(path for path in held if path.startswith(str(folder)))


def open_run(folder):
    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def values_of(run, tag):
    """`(step, array)` of each summary of a tag."""
    return [(event.step, tf.make_ndarray(event.tensor_proto)) for event in run.Tensors(tag)]


def tags_of(run, plugin):
    return {
        tag for tag in run.Tags()["tensors"] if run.SummaryMetadata(tag).plugin_data.plugin_name == plugin
    }


def bare(*values):
    """The only tensor of a summary, by tag."""
    return {value.tag: tf.make_ndarray(value.tensor) for summary in values for value in summary.value}


class TestScalars:
    def test_each_number_is_a_scalar_with_its_description(self, tmp_path):
        with Run(tmp_path) as run:
            for epoch in (0, 3, 4):
                run.write(epoch, summaries.scalars({"a": epoch / 2, "b": float("nan")}, {"a": "half of it"}))
        found = open_run(tmp_path)
        assert tags_of(found, "scalars") == {"a", "b"}
        assert [(step, float(value)) for step, value in values_of(found, "a")] == [(0, 0), (3, 1.5), (4, 2)]
        assert np.isnan([value for _, value in values_of(found, "b")]).all()
        assert found.SummaryMetadata("a").summary_description == "half of it"

    def test_a_caller_who_records_nothing_does_not_silence_it(self, tmp_path):
        with tf.summary.record_if(False), Run(tmp_path) as run:
            run.write(1, summaries.scalars({"a": 1.0}))
        assert open_run(tmp_path).Tags()["tensors"] == ["a"]


class TestHistograms:
    def test_every_record_is_counted_once_where_it_lies(self):
        rng = np.random.default_rng(0)
        sides = np.r_[rng.random(70), 0.0, 1.0], rng.random(50) ** 3
        found = bare(summaries.histograms("score", *sides, description="said"))
        assert list(found) == ["score/members", "score/non-members"]
        for table, side in zip(found.values(), sides, strict=True):
            assert table[0, 0] == 0 and table[-1, 1] == 1  # the same axis, so that they can be compared
            np.testing.assert_array_equal(table[1:, 0], table[:-1, 1])
            assert table[:, 2].sum() == len(side)
            for low, high, count in table[:-1]:
                assert count == sum(low <= value < high for value in side)

    def test_the_probability_of_the_true_class_is_that_of_its_logarithm(self):
        members, others = bare(
            summaries.true_class(np.log([0.99, 0.999, 1.0]), np.log([0.21, 1e-30]))
        ).values()
        assert members[-1, 2] == 3 and others[0, 2] == 1 and others[6, 2] == 1

    def test_scores_are_counted_by_how_many_records_score_no_higher(self):
        rng = np.random.default_rng(0)
        members, others = np.round(rng.normal(1, 1, 30), 1), np.round(rng.normal(0, 1, 20), 1)
        pooled = np.r_[members, others]
        for scale in (lambda scores: scores, np.exp):
            found = bare(summaries.attack_scores("loss", scale(members), scale(others)))
            for table, side in zip(found.values(), (members, others), strict=True):
                shares = [np.mean(pooled <= score) for score in side]
                np.testing.assert_array_equal(table[:, 2], np.histogram(shares, 30, (0, 1))[0])

    def test_infinite_scores_are_the_highest_and_the_lowest(self):
        found = bare(summaries.attack_scores("sure", np.full(10, np.inf), np.full(30, -np.inf)))
        members, others = found.values()
        assert members[-1, 2] == 10 and others[22, 2] == 30


class TestPrecisionAndRecall:
    def curve(self, members, others):
        (table,) = bare(summaries.pr_curve("loss", members, others)).values()
        return table

    def test_its_points_lie_on_the_curve_of_scikit_learn(self):
        rng = np.random.default_rng(0)
        members, others = np.round(rng.normal(1, 1, 90), 1), np.round(rng.normal(0, 1, 40), 1)
        labels = np.r_[np.ones(90), np.zeros(40)]
        weights = np.r_[np.ones(90), np.full(40, 90 / 40)]  # both sides weigh the same
        expected = precision_recall_curve(labels, np.r_[members, others], sample_weight=weights)
        theirs = np.stack(expected[:2], axis=1)
        *_, precision, recall = self.curve(members, others)
        for point in np.stack([precision, recall], axis=1):
            assert np.abs(theirs - point).max(axis=1).min() < 1e-6
        assert len(np.unique(recall)) > 20

    def test_a_sure_attack_and_a_blind_one(self):
        sure = self.curve(np.full(10, np.inf), np.full(30, -np.inf))
        assert sure[4, -1] == sure[5, -1] == 1
        blind = self.curve(np.zeros(10), np.zeros(30))
        np.testing.assert_allclose(blind[4], 0.5)
        np.testing.assert_array_equal(blind[5], 1)


class TestPictures:
    def test_they_are_png_of_the_size_that_they_say(self, tmp_path):
        rng = np.random.default_rng(0)
        for scale, png in roc_pictures(
            {"my $x^$ <loss>": (rng.normal(1, 1, 50), rng.normal(size=50))}
        ).items():
            width, height, content = bare(summaries.image(scale, png))[scale]
            decoded = tf.io.decode_png(content)
            assert decoded.shape[:2] == (int(height), int(width))
            assert decoded.shape[0] == decoded.shape[1] >= 400


class TestLayout:
    def test_its_tags_are_scalars_of_the_meter_and_no_others(self, tmp_path):
        tags = [*DESCRIPTIONS, *(f"attack_tpr_at_fpr_{fpr}" for fpr in (0.01, 0.001, 0))]
        (summary,) = layout().value
        shown = layout_pb2.Layout.FromString(summary.tensor.string_val[0])
        charts = [chart for category in shown.category for chart in category.chart]
        patterns = [pattern for chart in charts for pattern in chart.multiline.tag]
        for pattern in patterns:
            assert [re.match(pattern, tag) is not None for tag in tags].count(True) == 1, pattern
            assert not any(re.match(pattern, f"epoch_{tag}") for tag in tags)  # those of Keras
        (band,) = (series for chart in charts for series in chart.margin.series)
        assert (band.value, band.lower, band.upper) == tuple(tags[2:5])
        assert {"^train_accuracy$", "^test_accuracy$", "^attack_tpr_at_fpr_0.001$"} <= set(patterns)
        assert all(chart.title for chart in charts)


class TestMeterRun:
    def test_a_run_that_was_never_readable_has_no_picture(self, tmp_path):
        run = MeterRun(tmp_path)
        run.write(0, {"attack_accuracy": float("nan")}, None)
        run.close()
        found = open_run(tmp_path / "privacy")
        assert tags_of(found, "scalars") == {"attack_accuracy"}
        assert not tags_of(found, "images") and not tags_of(found, "histograms")


class TestReport:
    def test_the_strongest_attack_has_a_curve(self, written, report):
        assert tags_of(written, "pr_curves") == {"strongest attack/pr_curves"}
        ((_, table),) = values_of(written, "strongest attack/pr_curves")
        strongest = report.strongest
        thresholds = np.r_[strongest.member_scores, strongest.nonmember_scores][:, None]
        tpr = np.mean(strongest.member_scores >= thresholds, axis=1)
        fpr = np.mean(strongest.nonmember_scores >= thresholds, axis=1)
        reached = {(round(p, 5), round(r, 5)) for p, r in zip(tpr / (tpr + fpr), tpr, strict=True)}
        found = {(round(float(p), 5), round(float(r), 5)) for p, r in table[4:].T}
        assert found <= reached and len(found) > 50

    def test_the_histograms_are_those_of_its_records(self, written, report):
        tags = tags_of(written, "histograms")
        assert len(tags) == 4
        for tag in tags:
            ((_, table),) = values_of(written, tag)
            assert table[:, 2].sum() == (report.members if tag.endswith("/members") else report.nonmembers)
        ((_, table),) = values_of(written, "probability of the true class/members")
        shown = np.exp(report.attacks["loss threshold"].member_scores)
        np.testing.assert_array_equal(table[:, 2], np.histogram(shown, 30, (0, 1))[0])
        assert (
            report.strongest_attack
            in written.SummaryMetadata("score of the strongest attack/members").summary_description
        )

    def test_it_has_both_roc_and_the_table(self, written, report):
        assert tags_of(written, "images") == {"ROC/linear", "ROC/log-log"}
        ((_, said),) = values_of(written, "report")
        assert said.item().decode() == report.to_markdown()

    def test_without_a_loss_threshold_the_attack_score_alone_is_shown(self, report, tmp_path):
        attacks = {"gap": report.attacks["gap"]}
        write_report(tmp_path, dataclasses.replace(report, attacks=attacks, strongest_attack="gap"))
        found = open_run(tmp_path / "report")
        assert tags_of(found, "histograms") == {
            "score of the strongest attack/members",
            "score of the strongest attack/non-members",
        }
        assert tags_of(found, "pr_curves") == {"strongest attack/pr_curves"}

    def test_no_file_stays_open(self, logs):
        folder, still_open = logs
        assert len(list((folder / "report").iterdir())) == 2 and still_open == []


class TestSweep:
    """Two points of a sweep, as the HParams page asks for them."""

    @pytest.fixture(scope="class")
    @classmethod
    def points(cls, tmp_path_factory):
        root = tmp_path_factory.mktemp("sweep")
        reports = {0.0: report_of(4.0), 3.0: report_of(1.0)}
        for penalty, report in reports.items():
            folder = root / f"penalty-{penalty}"
            write_hparams(
                folder,
                hparams={"penalty": np.float32(penalty), "defence": "advreg", "warm": True},
                report=report,
                choices={"defence": ["l2", "advreg"]},
            )
            with Run(folder / "train") as run:  # what Keras writes beside it
                run.write(0, summaries.scalars({"epoch_accuracy": 1.0}))
        return root, reports

    @pytest.fixture(scope="class")
    @classmethod
    def page(cls, points):
        root, _ = points
        runs = EventMultiplexer().AddRunsFromDirectory(str(root)).Reload()
        context = backend_context.Context(TBContext(data_provider=MultiplexerDataProvider(runs, str(root))))
        request = RequestContext()
        metadata = context.hparams_metadata(request, "")
        experiment = context.experiment_from_metadata(
            request, "", True, metadata, context.hparams_from_data_provider(request, "", limit=None)
        )
        asked = api_pb2.ListSessionGroupsRequest(
            start_index=0,
            slice_size=10,
            include_metrics=True,
            allowed_statuses=[api_pb2.STATUS_SUCCESS],
            col_params=[
                *(
                    api_pb2.ColParams(hparam=info.name, include_in_result=True)
                    for info in experiment.hparam_infos
                ),
                *(api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos),
            ],
        )
        groups = list_session_groups.Handler(request, context, "", asked).run()
        return experiment, groups.session_groups

    def test_it_names_what_was_chosen_and_five_figures(self, page):
        experiment, _ = page
        kinds = {info.name: info.type for info in experiment.hparam_infos}
        assert kinds == {
            "penalty": api_pb2.DATA_TYPE_FLOAT64,
            "defence": api_pb2.DATA_TYPE_STRING,
            "warm": api_pb2.DATA_TYPE_BOOL,
        }
        boxes = {info.name: list(info.domain_discrete) for info in experiment.hparam_infos}
        assert boxes == {"penalty": [], "defence": ["l2", "advreg"], "warm": []}
        assert [info.display_name for info in experiment.metric_infos] == [
            "test accuracy",
            "attack accuracy",
            "training accuracy",
            "TPR at 1 % FPR",
            "attack AUC",
        ]

    def test_every_point_is_there_with_its_figures(self, page, points):
        _, groups = page
        _, reports = points
        found = {group.hparams["penalty"].number_value: group for group in groups}
        assert set(found) == set(reports)
        for penalty, report in reports.items():
            values = {value.name.tag: value.value for value in found[penalty].metric_values}
            strongest = report.strongest
            pooled = np.r_[strongest.member_scores, strongest.nonmember_scores]
            assert values == pytest.approx(
                {
                    "report/test_accuracy": report.test_accuracy,
                    "report/train_accuracy": report.train_accuracy,
                    "report/attack_accuracy": report.attack_accuracy,
                    "report/attack_tpr_at_fpr_0.01": strongest.tpr_at_fpr[0.01],
                    "report/attack_auc": roc_auc_score(np.arange(len(pooled)) < report.members, pooled),
                }
            )
            assert found[penalty].name == f"{penalty}, advreg, True"


@pytest.mark.parametrize(
    ("hparams", "quoted"),
    [
        ({}, r"hparams={}"),
        ([1], r"hparams=\[1\]"),
        ({"penalty": None}, "penalty=None"),
        ({"penalty": [1, 2]}, r"penalty=\[1, 2\]"),
    ],
)
def test_bad_hyperparameters_are_quoted(report, hparams, quoted, tmp_path):
    with pytest.raises(ValueError, match=quoted):
        write_hparams(tmp_path, hparams=hparams, report=report)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "write", [write_report, lambda *args: write_hparams(args[0], hparams={"a": 1}, report=args[1])]
)
def test_only_reports_are_written(write, tmp_path):
    with pytest.raises(TypeError, match="report must be an mpreg.PrivacyReport. Received: 'report'"):
        write(tmp_path, "report")
    assert not list(tmp_path.iterdir())
