"""The command: what it lists without importing it, how it ends, and what it leaves."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import mpreg
from mpreg.attacks.suites import SUITES
from mpreg.cli import audit, main
from mpreg.recipes import RECIPES
from mpreg.recipes.studies.quickstart import SETTINGS

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Options that name the predictions of a leaking model."""
    folder, rng = tmp_path_factory.mktemp("predictions"), np.random.default_rng(0)
    options = []
    for name, margin in (("member", 4.0), ("nonmember", 1.0)):
        labels = rng.integers(0, 3, 60)
        logits = rng.normal(size=(60, 3))
        logits[np.arange(60), labels] += margin
        np.savez(folder / f"{name}.npz", predictions=logits, labels=labels)
        options += [f"--{name}-predictions", folder / f"{name}.npz"]
    return options


class TestHelp:
    @pytest.mark.parametrize(
        ("command", "lists"),
        [
            ("", "quickstart audit compare report recipe"),
            ("recipe", "nasr2018"),
            ("quickstart", "location30"),
            ("audit", "--fail-above"),
            ("report", "--format"),
        ],
    )
    def test_help_imports_nothing_heavy(self, command, lists):
        code = (
            "import sys; from mpreg.cli import main\n"
            f"try: main({command.split()} + ['--help'])\n"
            "finally: print([name for name in ('tensorflow', 'keras', 'numpy', 'sklearn') if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.stdout.splitlines()[-1] == "[]", done.stderr
        assert all(name in done.stdout for name in lists.split())

    def test_recipes_are_those_that_the_recipes_list(self):
        listed = main.commands["recipe"].list_commands(None)
        assert {"nasr2018", "shokri2017"} <= set(listed) == set(RECIPES)

    def test_an_unknown_recipe_is_a_usage_error(self):
        assert run("recipe", "experiment").exit_code == 2

    def test_every_recipe_and_every_command_has_a_line_of_help(self):
        listed = " ".join(run("recipe", "--help").output.split())
        assert all(f"{name} {text}" in listed for name, (_, text) in RECIPES.items())
        listed = " ".join(run("--help").output.split())
        for name, command in main.commands.items():
            assert f"{name} {command.help.partition(chr(10))[0]}" in listed

    def test_compare_is_imported_when_it_is_used(self, monkeypatch):
        module = types.ModuleType("mpreg.recipes.studies.compare")
        module.run = lambda **options: click.echo(f"compared {options}")
        monkeypatch.setitem(sys.modules, "mpreg.recipes.studies.compare", module)
        given = {
            "defences": "l2",
            "dataset": "digits",
            "attacks": ("gap",),
            "epochs": 2,
            "suite": "adaptive",
            "shadows": 16,
            "canaries": None,
            "out": None,
            "seed": 0,
        }
        asked = ["--defences", "l2", "--dataset", "digits", "--attack", "gap", "--epochs", 2]
        assert run("compare", *asked).output == f"compared {given}\n"

    def test_the_help_of_compare_lists_defences_and_data_sets(self):
        listed = run("compare", "--help").output
        assert "selena" in listed and "location30" in listed

    def test_the_help_of_quickstart_names_its_data_sets(self):
        assert ", ".join(SETTINGS) in run("quickstart", "--help").output


class TestEnd:
    """0, 1 above a limit alone, 2 for wrong input, 3 for a fault of its own."""

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            (["quickstart", "--dataset", "nowhere"], "dataset must be one of digits, location30"),
            (["quickstart", "--epochs", "0"], "0 is not in the range"),
            (["quickstart", "--seed", "-1"], "-1 is not in the range"),
            (["compare", "--dataset", "nowhere"], "dataset must be one of digits, location30"),
            (["compare", "--defences", "magic"], "Received: magic"),
            (["recipe", "nasr2018", "--dataset", "nowhere"], "'nowhere' is not one of"),
            (["recipe", "nothing"], "No such command 'nothing'"),
            (["nothing"], "No such command 'nothing'"),
        ],
    )
    def test_wrong_input_ends_with_2(self, command, message):
        done = run(*command)
        assert done.exit_code == 2
        assert message in " ".join(done.output.split())

    def test_a_plugin_that_fails_is_told_with_its_line_and_no_traceback(self, tmp_path):
        plugin = tmp_path / "broken.py"
        plugin.write_text("import sys\n\nraise RuntimeError('not finished')\n")
        done = run("compare", "--plugin", plugin)
        said = " ".join(done.output.split())
        assert done.exit_code == 2 and "Traceback" not in said
        assert f"line 3 of {plugin}: RuntimeError: not finished" in said

    @pytest.mark.parametrize(
        ("error", "code", "shown"),
        [
            (ValueError("epochs is wrong"), 2, "Error: epochs is wrong\n"),
            (TypeError("x is a list"), 2, "Error: x is a list\n"),
            (FileNotFoundError(2, "No such file", "x.npz"), 2, "Error: [Errno 2] No such file: 'x.npz'\n"),
            (click.FileError("x.npz", "unreadable"), 2, "Error: Could not open file 'x.npz': unreadable\n"),
            (KeyError("internal"), 3, "Traceback (most recent call last)"),
            (MemoryError(), 3, "MemoryError"),
            (KeyboardInterrupt(), 130, "Aborted!\n"),
            (click.Abort(), 130, "Aborted!\n"),
        ],
    )
    def test_an_error_of_any_command_never_ends_with_1(self, error, code, shown, monkeypatch):
        def fail(**options):
            raise error

        module = types.ModuleType("mpreg.recipes.studies.quickstart")
        module.run = fail
        monkeypatch.setitem(sys.modules, "mpreg.recipes.studies.quickstart", module)
        done = run("quickstart")
        assert done.exit_code == code
        assert shown in done.output
        assert ("Traceback" in done.output) == (code == 3)

    def test_a_reader_that_leaves_is_not_a_limit_exceeded(self, files, tmp_path):
        options = [*map(str, files), "--attacks", "fast", "--out", str(tmp_path)]
        command = subprocess.Popen(
            [sys.executable, "-m", "mpreg", "audit", *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=-1
        )
        command.stdout.close()
        assert command.stderr.read() == b""
        assert command.wait(timeout=120) == 141


class TestStandardError:
    CODE = (
        "import sys; from mpreg.cli.start_up import import_tensorflow; import_tensorflow()\n"
        "print('tensorflow' in sys.modules)"
    )

    def imported(self, level, code=CODE):
        environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        if level is not None:
            environment["TF_CPP_MIN_LOG_LEVEL"] = level
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
        )

    def test_tensorflow_starts_in_silence(self):
        done = self.imported("2")
        assert (done.stdout, done.stderr) == ("True\n", "")

    def test_the_command_sets_the_level_unless_the_user_has(self):
        code = (
            "import os; from mpreg.cli import main\n"
            "try: main(['recipe', '--help'])\n"
            "finally: print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
        )
        assert [self.imported(level, code).stdout[-2] for level in (None, "0", "2")] == ["3", "0", "2"]

    def test_what_is_said_in_another_voice_is_shown(self, tmp_path):
        (tmp_path / "tensorflow.py").write_text(
            "import os\nos.write(2, b'I0000 noise\\nE0000 a fault\\nof two lines\\n')\nraise ImportError('broken')"
        )
        done = self.imported("3", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{self.CODE}")
        assert "noise" not in done.stderr
        assert done.stderr.startswith("E0000 a fault\nof two lines\nTraceback")

    def test_a_driver_that_is_not_there_is_no_fault_but_one_that_fails_is(self, tmp_path):
        lines = ["E0000 x.cc:52] failed call to cuInit: CUDA error: " + end for end in ("A (303)", "B (2)")]
        (tmp_path / "tensorflow.py").write_text(
            f"import os\nclass config:\n    def list_physical_devices(): os.write(2, {chr(10).join(lines).encode()!r})"
        )
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{self.CODE}"
        assert self.imported("3", code).stderr == lines[1]
        assert (
            self.imported("0", code).stderr == ""
        )  # nothing is asked for, so that the user's TensorFlow asks

    @pytest.mark.slow
    def test_a_whole_quickstart_is_silent(self, tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "mpreg", "quickstart", "--epochs", "2", "--out", str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert (done.returncode, done.stderr) == (0, "")

    def test_predictions_are_audited_without_tensorflow(self, files, tmp_path):
        arguments = ["audit", *map(str, files), "--attacks", "fast", "--out", str(tmp_path)]
        code = (
            "import sys; from mpreg.cli import main\n"
            f"try: main({arguments})\n"
            "finally: print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
        )
        assert self.imported(None, code).stdout.splitlines()[-1] == "[]"


class TestAudit:
    def test_it_offers_every_suite(self):
        assert set(audit.ATTACKS) == set(SUITES) > set(audit.OF_A_MODEL_ALONE)

    def test_it_leaves_a_report_and_ends_with_0(self, files, tmp_path):
        done = run("audit", *files, "--attacks", "fast", "--out", tmp_path / "new", "--title", "My model")
        assert done.exit_code == 0, done.output
        names = {"report.html", "report.json", "report.md", "member_scores.npz"}
        assert {path.name for path in (tmp_path / "new").iterdir()} == names
        assert (
            "\nStrongest attack:" in f"\n{done.output}"
            and "| ---" not in done.output
            and "report.html" in done.output
        )
        assert "<h1>My model</h1>" in (tmp_path / "new" / "report.html").read_text("utf-8")

    def test_a_figure_above_its_limit_ends_with_1_and_the_report_is_there(self, files, tmp_path):
        limits = ["--fail-above", "attack_accuracy=0.5", "--fail-above", "attack_auc=1"]
        done = run("audit", *files, "--attacks", "fast", "--out", tmp_path, *limits)
        assert done.exit_code == 1
        found = json.loads((tmp_path / "report.json").read_text("utf-8"))
        assert [gate["failed"] for gate in found["gates"]] == [True, False]
        assert "limit 0.5: above the limit" in done.output and "limit 1: within the limit" in done.output

    def test_the_assessment_takes_the_guarantee(self, files, tmp_path):
        options = ["--dpia", "--epsilon", "2", "--delta", "1e-6"]
        assert run("audit", *files, "--attacks", "fast", "--out", tmp_path, *options).exit_code == 0
        assert "ε = 2 and δ = 1e-06" in (tmp_path / "dpia.md").read_text("utf-8")

    def test_class_names_and_seed_are_used(self, files, tmp_path):
        (tmp_path / "names.txt").write_text("ant\nbee\ncat\n")
        options = [
            "--class-names",
            tmp_path / "names.txt",
            "--seed",
            7,
            "--attacks",
            "fast",
            "--out",
            tmp_path,
        ]
        assert run("audit", *files, *options).exit_code == 0
        found = json.loads((tmp_path / "report.json").read_text("utf-8"))
        assert found["class_names"] == ["ant", "bee", "cat"] and found["report"]["seed"] == 7

    def test_a_record_on_both_sides_is_an_error_that_tells_what_to_say(self, tmp_path):
        file = tmp_path / "records.npz"
        np.savez(file, x=np.eye(3), y=[0, 1, 2])
        (tmp_path / "model.keras").write_bytes(b"not looked at")
        given = [tmp_path / "model.keras", "--members", file, "--nonmembers", file, "--out", tmp_path / "new"]
        done = run("audit", *given)
        assert done.exit_code == 2 and "or add --allow-duplicates if different people" in " ".join(
            done.output.split()
        )
        done = run("audit", *given, "--allow-duplicates")  # now the model is looked at
        assert done.exit_code == 2 and "must be a .keras file" in " ".join(done.output.split())

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ([], "give MODEL.keras with --members and --nonmembers, or --member-predictions"),
            (["--member-predictions", "FILE"], "give MODEL.keras with --members"),
            (["FILE", "--members", "FILE"], "give MODEL.keras with --members"),
            (
                ["FILE", "--members", "FILE", "--nonmembers", "FILE", "--member-predictions", "FILE"],
                "give MODEL.keras",
            ),
            (["--member-predictions", "FILE", "--nonmember-predictions", "missing.npz"], "does not exist"),
            (["FILE", "--members", "FILE", "--nonmembers", "FILE", "--strong"], "give --shadow-epochs"),
            (["BOTH", "--strong"], "need MODEL and its records"),
            (["BOTH", "--attacks", "whitebox"], "need MODEL and its records"),
            (["BOTH", "--reference", "FILE"], "need MODEL and its records"),
            (["BOTH", "--fail-above", "auc=0.6"], "a limit must be FIGURE=NUMBER"),
            (["BOTH", "--dpia", "--epsilon", "-1"], "epsilon must be above 0"),
            (["BOTH", "--dpia", "--epsilon", "8"], "a guarantee has a delta too"),
            (["BOTH", "--dpia", "--delta", "1e-5"], "delta goes with an epsilon"),
            (["BOTH", "--delta", "1e-5"], "add --dpia"),
            (["BOTH", "--fail-above", "attack_accuracy=60"], "a share; 0.6 for 60 %"),
            (["BOTH", "--fail-above", "recall=-1"], "a share; 0.6 for 60 %"),
            (["BOTH", "--allow-duplicates"], "need MODEL and its records"),
            (
                ["FILE", "--members", "FILE", "--nonmembers", "FILE", "--coarse"],
                "--coarse is for predictions",
            ),
            (["BOTH", "--epsilon", "1"], "add --dpia"),
            (["BOTH", "--attacks", "weak"], "'weak' is not one of"),
            (["FILE", "--members", "FILE", "--nonmembers", "FILE"], "must hold the arrays x and y"),
            (["BOTH", "--probabilities"], "probabilities must lie in"),
        ],
    )
    def test_wrong_input_ends_with_2_and_leaves_nothing(self, files, options, message, tmp_path):
        expanded = []
        for option in options:
            expanded += files if option == "BOTH" else [files[1] if option == "FILE" else option]
        done = run("audit", *expanded, "--out", tmp_path / "new")
        assert done.exit_code == 2
        assert message in " ".join(done.output.split())
        assert not (tmp_path / "new").exists()

    def test_the_assessment_of_an_earlier_audit_is_not_left_beside_another_report(self, files, tmp_path):
        options = ["--attacks", "fast", "--out", tmp_path]
        assert run("audit", *files, *options, "--dpia").exit_code == 0
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        done = run("audit", *files, *options, "--seed", 3)
        assert done.exit_code == 2 and "dpia.html" in done.output and "of an earlier run" in done.output
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
        assert run("audit", *files, *options, "--seed", 3, "--dpia").exit_code == 0

    @pytest.mark.parametrize("name", ["dpia.html", "dpia.md"])
    def test_an_assessment_that_a_person_filled_in_is_never_written_over(self, name, files, tmp_path):
        options = ["--attacks", "fast", "--out", tmp_path, "--dpia"]
        for _ in range(2):  # one that nobody touched is
            assert run("audit", *files, *options).exit_code == 0
        paper = tmp_path / name
        text = paper.read_text("utf-8")
        paper.write_text(f"{text[:300]}our register{text[300:]}", "utf-8")
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        again = ["report", tmp_path / "report.json", "--format", "dpia"]
        for done in (run("audit", *files, *options), run(*again)):
            said = " ".join(done.output.split())
            assert done.exit_code == 2 and f"{name} is not as it was written" in said and "Move it" in said
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
        assert run(*again, "--out", tmp_path / "other").exit_code == 0

    @pytest.mark.parametrize("link", [False, True])
    def test_an_input_is_never_written_over(self, link, files, tmp_path):
        """Predictions that are called as one of the audit's own files, or linked to one."""
        own = tmp_path / "member_scores.npz"
        own.write_bytes(Path(files[1]).read_bytes())
        given = tmp_path / "link.npz" if link else own
        if link:
            given.symlink_to(own)
        done = run("audit", files[0], given, *files[2:], "--attacks", "fast", "--out", tmp_path)
        assert done.exit_code == 2 and "would be written over it" in " ".join(done.output.split())
        assert own.read_bytes() == Path(files[1]).read_bytes()
        assert {path.name for path in tmp_path.iterdir()} <= {"member_scores.npz", "link.npz"}

    @pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
    def test_a_terminal_of_another_encoding_changes_neither_code_nor_files(self, encoding, files, tmp_path):
        """The report has an epsilon, which neither encoding has: at a limit of 1 it ends with 0, at 0.5 with 1."""
        for limit, code in (("1", 0), ("0.5", 1)):
            options = [
                "--attacks",
                "fast",
                "--fail-above",
                f"attack_accuracy={limit}",
                "--out",
                tmp_path / limit,
            ]
            done = subprocess.run(
                [sys.executable, "-m", "mpreg", "audit", *map(str, [*files, *options])],
                cwd=ROOT,
                capture_output=True,
                env={**os.environ, "PYTHONIOENCODING": encoding},
                timeout=120,
            )
            assert done.returncode == code, done.stderr
            assert b"Strongest attack" in done.stdout
            lines = [] if encoding == "ascii" else done.stdout.decode(encoding).splitlines()
            assert encoding == "ascii" or any(
                line.endswith("? ?") for line in lines
            )  # click writes UTF-8 for ASCII
            assert "ε ≥" in (tmp_path / limit / "report.md").read_text("utf-8")

    def test_an_error_is_printed_in_any_encoding(self, tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "mpreg", "report", str(tmp_path / "ε.json")],
            cwd=ROOT,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "cp1252:strict"},
            timeout=120,
        )
        assert done.returncode == 2 and b".json' does not exist" in done.stderr


class TestReport:
    @pytest.fixture(scope="class")
    @classmethod
    def audit(cls, files, tmp_path_factory):
        folder = tmp_path_factory.mktemp("audit")
        limits = ["--fail-above", "gap_bound=1", "--dpia"]
        assert run("audit", *files, "--attacks", "fast", "--out", folder, *limits).exit_code == 0
        return folder

    def test_it_writes_again_what_the_audit_wrote(self, audit, tmp_path):
        formats = ["--format", "html", "--format", "md", "--format", "dpia"]
        done = run("report", audit / "report.json", *formats, "--out", tmp_path / "new")
        assert done.exit_code == 0, done.output
        names = {"report.html", "report.md", "dpia.html", "dpia.md"}
        assert {path.name for path in (tmp_path / "new").iterdir()} == names
        for name in names:
            assert (tmp_path / "new" / name).read_bytes() == (audit / name).read_bytes(), name
            assert str(tmp_path / "new" / name) in done.output

    def test_pages_of_one_report_are_not_put_beside_those_of_another(self, audit, files, tmp_path):
        other = tmp_path / "other"
        assert run("audit", *files, "--attacks", "fast", "--seed", 5, "--out", other).exit_code == 0
        before = {path.name: path.read_bytes() for path in other.iterdir()}
        for format in ("html", "md", "dpia"):
            done = run("report", audit / "report.json", "--format", format, "--out", other)
            assert done.exit_code == 2 and "report.json" in done.output and "of an earlier run" in done.output
        assert {path.name: path.read_bytes() for path in other.iterdir()} == before
        for format in ("html", "md", "html", "dpia"):  # into the folder of the same report, bit by bit
            assert (
                run("report", audit / "report.json", "--format", format, "--out", tmp_path / "b").exit_code
                == 0
            )
        assert run("report", other / "report.json", "--out", tmp_path / "b").exit_code == 2

    def test_a_kept_comparison_gives_the_page_of_to_html_beside_it(self, tmp_path):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 3, 60)
        sides = [rng.normal(size=(60, 3)) + margin * np.eye(3)[labels] for margin in (4.0, 1.0)]
        report = mpreg.evaluate_predictions(sides[0], labels, sides[1], labels, attacks="fast")
        comparison = mpreg.compare({"a": report, "b": report})
        comparison.to_json(tmp_path / "kept.json")
        comparison.to_html(tmp_path / "page.html", title="Two", class_names=["ant", "bee", "cat"])
        (tmp_path / "names.txt").write_text("ant\nbee\ncat\n")
        options = ["--title", "Two", "--class-names", tmp_path / "names.txt"]
        assert run("report", tmp_path / "kept.json", *options).exit_code == 0
        assert (tmp_path / "kept.html").read_bytes() == (tmp_path / "page.html").read_bytes()
        chosen = ["--format", "dpia", "--chosen", "a", "--epsilon", 2, "--delta", 0]
        assert run("report", tmp_path / "kept.json", *chosen).exit_code == 0
        assert "a (chosen)" in (tmp_path / "dpia.md").read_text("utf-8")
        assert "ε = 2" in (tmp_path / "dpia.md").read_text("utf-8")

    def test_it_takes_neither_tensorflow_nor_scikit_learn(self, audit, tmp_path):
        code = (
            "import sys; sys.modules |= dict.fromkeys(('tensorflow', 'keras', 'sklearn'))  # not to be found\n"
            f"from mpreg.cli import main; main(['report', {str(audit / 'report.json')!r}, '--format', 'dpia', "
            f"'--format', 'html', '--out', {str(tmp_path)!r}])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "report.html").read_bytes() == (audit / "report.html").read_bytes()

    @pytest.mark.parametrize(
        ("content", "options", "message"),
        [
            ("{", [], "is no report.json of mpreg"),
            ('{"schema": "mpreg.frontier/1"}', [], "Received: schema='mpreg.frontier/1'"),
            (None, ["--format", "pdf"], "'pdf' is not one of"),
            (None, ["--epsilon", "1"], "add --format dpia"),
            (None, ["--format", "dpia", "--chosen", "b"], "chosen must be one of ['model']. Received: 'b'"),
            (None, ["--format", "dpia", "--epsilon", "0"], "epsilon must be above 0"),
            (None, ["--format", "dpia", "--epsilon", "8"], "a guarantee has a delta too"),
            (None, ["--delta", "0"], "add --format dpia"),
        ],
    )
    def test_wrong_input_ends_with_2_and_writes_nothing(self, audit, content, options, message, tmp_path):
        file = audit / "report.json"
        if content is not None:
            file = tmp_path / "a.json"
            file.write_text(content)
        done = run("report", file, *options, "--out", tmp_path / "new")
        assert done.exit_code == 2 and message in " ".join(done.output.split())
        assert not (tmp_path / "new").exists()


class TestCompletion:
    """The shell asks the command itself, as `_MPREG_COMPLETE=bash_source mpreg` has it do."""

    def completed(self, words, capsys, monkeypatch):
        monkeypatch.setenv("_MPREG_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
        with pytest.raises(SystemExit):
            main.main([], prog_name="mpreg")
        return [line.partition(",")[2] for line in capsys.readouterr().out.splitlines()]

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("mpreg a", ["audit"]),
            ("mpreg recipe nasr", ["nasr2018", "nasr2019"]),
            ("mpreg audit --jun", ["--junit"]),
            ("mpreg audit --attacks s", ["standard", "strong"]),
            ("mpreg recipe --h", ["--help"]),
        ],
    )
    def test_words_are_completed(self, words, expected, capsys, monkeypatch):
        assert self.completed(words, capsys, monkeypatch) == expected

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_each_shell_gets_its_script(self, shell, capsys, monkeypatch):
        monkeypatch.setenv("_MPREG_COMPLETE", f"{shell}_source")
        if shell == "bash":  # which version of it is installed is none of this test's business
            monkeypatch.setattr("click.shell_completion.BashComplete._check_version", lambda *_: None)
        with pytest.raises(SystemExit):
            main.main([], prog_name="mpreg")
        assert "_MPREG_COMPLETE" in capsys.readouterr().out

    def test_recipes_are_completed_without_tensorflow(self):
        code = (
            "import sys; from mpreg.cli import main\n"
            "try: main.main([], prog_name='mpreg')\n"
            "finally: print([name for name in ('tensorflow', 'keras', 'numpy') if name in sys.modules])"
        )
        asked = {"_MPREG_COMPLETE": "bash_complete", "COMP_WORDS": "mpreg recipe n", "COMP_CWORD": "2"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, **asked},
            timeout=60,
        )
        assert done.stdout.splitlines()[-1] == "[]" and "nasr2018" in done.stdout, done.stderr
