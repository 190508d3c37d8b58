"""The command that says whom screening leaves out."""

import json

from click.testing import CliRunner

from mpreg.catalogue import Task, setting_of
from mpreg.catalogue.registries import SETTINGS
from mpreg.catalogue.screening import ScreeningOptions, screened_rows
from mpreg.recipes.studies import screening


def test_canaries_are_left_out_more_often_than_others_and_clean_members_by_class(tmp_path):
    shown = CliRunner().invoke(screening.command, ["--dataset", "digits", "--out", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    found = json.loads((tmp_path / "screening.json").read_text("utf-8"))
    by_members, by_reference = found["planted"][:4], found["planted"][4:]
    for by, rows in (("other members", by_members), ("reference records", by_reference)):
        assert {row["judged_by"] for row in rows} == {by}
        clean, *planted = rows
        assert clean["canaries_left_out"] is None
        assert [row["canaries"] for row in planted] == ["mislabelled", "out-of-distribution", "twins"]
        for row in planted:
            assert row["canaries_left_out"] > 0.7 > 0.2 > row["others_left_out"]
    assert max(row["most_of_a_class"] for row in by_members) <= 0.3
    clean = by_members[0]
    setting = setting_of(SETTINGS, "digits")
    data, split = setting.draw(0)
    kept = screened_rows(ScreeningOptions().screening(Task(setting, data, split, 0)), split.members)
    left_out = found["clean"]["left_out"]
    assert left_out == 400 - len(kept)
    assert clean["others_left_out"] == left_out / 400
    assert f"Screening leaves out {left_out} of 400 records" in shown.output
    for name in ("screening.md", "screening.html"):
        assert "most of class" in (tmp_path / name).read_text("utf-8")
