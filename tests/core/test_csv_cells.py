import csv
import io

from hypothesis import example, given
from hypothesis import strategies as st

from taskct.core.csv_cells import plain_cell, safe_cells

texts = st.lists(st.text(alphabet=st.sampled_from("'=+-@\t\r1.e ax\",\n"), max_size=6), min_size=1)


@given(texts)
@example(["'=x", "''", "''=x", "'t Hart", "=1", "-", "-0.5"])
def test_names_come_back_from_a_csv_file_as_they_were(names):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(safe_cells(names))
    cells = next(csv.reader(io.StringIO(text.getvalue(), newline=""), strict=True), [""])
    assert [plain_cell(c) for c in cells] == [n.replace("\r", " ") for n in names]


@given(texts)
def test_no_cell_begins_as_a_formula_unless_it_is_a_number(names):
    for cell in safe_cells(names):
        if cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
            float(cell)
