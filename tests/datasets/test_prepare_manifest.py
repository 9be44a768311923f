"""The journal: what goes in comes out, the newest counts, a cut-off line is dropped."""

from pathlib import Path

from animegan.datasets.crop import Square
from animegan.datasets.prepare.manifest import FaceRecord, Journal, SourceRecord
from animegan.datasets.quality import measure
from tests.support.piles import art


def record(key: str, faces: int = 1, **changes: object) -> SourceRecord:
    found = tuple(
        FaceRecord(
            (n, 0, n + 50, 50),
            0.9,
            ((1.0, 2.0), (3.5, 4.0)),
            Square(n, 0, 70),
            measure(art(n)),
            "a/b",
        )
        for n in range(faces)
    )
    values: dict[str, object] = {
        "key": key, "folder": "f", "stamp": "1:2", "search": "s", "smallest": 44, "cutting": "c",
        "size": (400, 300), "phash": "00", "mirrored": "ff", "faces": found,
    }  # fmt: skip
    return SourceRecord(**(values | changes))  # type: ignore[arg-type]


def test_a_record_survives_json() -> None:
    plain = record("a.png", 2)
    assert SourceRecord.from_json(plain.to_json()) == plain
    odd = record("b\n\udcff日.png", 0, problem=("broken", "x"))
    assert SourceRecord.from_json(odd.to_json()) == odd
    assert "\n" not in odd.to_json()


def test_place_is_in_parts_of_the_picture() -> None:
    assert record("a.png").place(record("a.png").faces[0]) == (0, 0, 50 / 400, 50 / 300)


def test_journal_gives_back_what_it_got(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.add(record("a", 1))
        journal.add(record("b", 2))
        journal.add(record("a", 3))
        assert journal.get("a") == record("a", 3)
        assert journal.get("zzz") is None
    with Journal(tmp_path / "j.jsonl") as journal:
        assert len(journal) == 2
        assert journal.get("a") == record("a", 3)
        assert journal.get("b") == record("b", 2)


def test_each_line_is_handed_over_at_once(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.add(record("a"))
        assert (tmp_path / "j.jsonl").read_text().endswith("\n")


def test_a_damaged_line_counts_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        journal.add(record("a"))
        journal.add(record("b"))
    path.write_bytes(path.read_bytes().replace(b'"size":[400,', b'"size":[401,', 1))
    with Journal(path) as journal:
        assert journal.get("a") is None
        assert journal.get("b") == record("b")


def test_lines_of_older_versions_have_no_checksum(tmp_path: Path) -> None:
    line = record("a").to_json().rpartition("#")[0]
    (tmp_path / "j.jsonl").write_text(line + "\n")
    with Journal(tmp_path / "j.jsonl") as journal:
        assert journal.get("a") == record("a")


def test_a_line_cut_off_by_an_interruption_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        journal.add(record("a"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    with Journal(path) as journal:
        assert len(journal) == 1
        journal.add(record("b"))
    with Journal(path) as journal:
        assert journal.get("a") == record("a")
        assert journal.get("b") == record("b")


def test_lines_of_another_version_count_as_not_there(tmp_path: Path) -> None:
    (tmp_path / "j.jsonl").write_text('{"key": "a", "new": 1}\n[]\nnonsense\n')
    with Journal(tmp_path / "j.jsonl") as journal:
        assert len(journal) == 0
        journal.add(record("a"))
        assert journal.get("a") == record("a")
