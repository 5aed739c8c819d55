from __future__ import annotations

import pytest

from taskct.core.errors import FileFormatError
from taskct.evaluation.rows import NOISE_FREE, Row, read_rows, rows_as_csv

PLAIN = Row("fbp", "c0", "p0", 3, 0.1, 1e5, "rmse_hu", "all", 12.5)
READ = Row("net", "c0", "p0", None, 0.1, 1e5, "dice", "tumour", 0.75, "unet-2", 1)


def test_rows_with_and_without_reader_and_seed_share_one_csv(tmp_path):
    (tmp_path / "t.csv").write_text(rows_as_csv([PLAIN, READ]))
    assert read_rows(tmp_path / "t.csv") == [PLAIN, READ]
    assert rows_as_csv([PLAIN]).splitlines() == [
        "method,case,patient,item,dose_fraction,photons,metric,region,value,reader,seed",
        "fbp,c0,p0,3,0.1,100000,rmse_hu,all,12.5,,",
    ]


def test_columns_are_found_by_name_in_any_order(tmp_path):
    lines = [line.split(",")[::-1] for line in rows_as_csv([READ]).splitlines()]
    (tmp_path / "t.csv").write_text("\n".join(",".join(line) for line in lines) + "\n")
    assert read_rows(tmp_path / "t.csv") == [READ]


def test_tables_of_the_version_before_are_read(tmp_path):
    (tmp_path / "table.csv").write_text(
        "case,patient,slice,method,dose_fraction,photons,metric,region,value\nc0,p0,3,fbp,0.1,100000,rmse_hu,all,12.5\n"
    )
    (tmp_path / "task.csv").write_text(
        "case,patient,slice,method,dose_fraction,photons,metric,region,value,reader,seed\n"
        "c0,p0,,net,0.1,100000,dice,tumour,0.75,unet-2,1\nc0,p0,,fbp,0.1,100000,dice,tumour,0.5,unet-2,-1\n"
    )
    assert read_rows(tmp_path / "table.csv") == [PLAIN]
    assert read_rows(tmp_path / "task.csv") == [READ, READ._replace(method="fbp", value=0.5, seed=None)]


@pytest.mark.parametrize(
    "header", ["method,case", "method,case,patient,item,slice,dose_fraction,photons,metric,region,value", "a,b"]
)
def test_other_columns_are_refused_by_name(tmp_path, header):
    (tmp_path / "t.csv").write_text(header + "\n")
    with pytest.raises(FileFormatError, match=r"expected the columns method, case, patient, item, .*got "):
        read_rows(tmp_path / "t.csv")


@pytest.mark.parametrize("line", ["fbp,c0,p0,3,0.1,1e5,rmse_hu,all,12.5,", "fbp,c0,p0,3,0.1,1e5,rmse_hu,all,12.5,S1,a,b"])
def test_a_line_with_too_few_or_too_many_cells_is_named(tmp_path, line):
    (tmp_path / "t.csv").write_text(rows_as_csv([PLAIN]) + line + "\n")
    with pytest.raises(FileFormatError, match="line 3: not a row of a table"):
        read_rows(tmp_path / "t.csv")


@pytest.mark.parametrize("dose", ["inf,1e5", "nan,1e5", "-1,1e5", "0.5,inf", "0.5,nan", "1,-2", "1e300,1e300"])
def test_a_dose_that_is_none_is_refused_with_its_line(tmp_path, dose):
    (tmp_path / "t.csv").write_text(rows_as_csv([PLAIN]) + f"fbp,c0,p0,3,{dose},rmse_hu,all,12.5,,\n")
    with pytest.raises(FileFormatError, match=r"line 3: not a row of a table \(a dose of"):
        read_rows(tmp_path / "t.csv")


def test_rows_of_scans_without_noise_are_read_as_such(tmp_path):
    row = PLAIN._replace(dose_fraction=1.0, photons=NOISE_FREE.photons)
    (tmp_path / "t.csv").write_text(rows_as_csv([row]))
    assert read_rows(tmp_path / "t.csv")[0].dose == NOISE_FREE
