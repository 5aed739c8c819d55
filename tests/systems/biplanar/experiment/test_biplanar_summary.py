"""Tables of steps made at different times become one table."""

from __future__ import annotations

from taskct.evaluation.rows import ALL, Row
from taskct.evaluation.table import Table
from taskct.evaluation.volumes.volume_metrics import about_metric
from taskct.systems.biplanar.experiment.biplanar_summary import metrics_of


def test_intervals_end_at_the_bounds_of_a_metric_whichever_step_was_made_before_there_were_any() -> None:
    name = "auc: gap"
    values = [1.4, 1.3, 0.9, 0.8, 1.1, 0.4, 1.2]  # their mean is the area, single ones pass 1
    rows = [Row("a", f"c{k}", f"c{k}", None, 1.0, 1e5, name, ALL, value) for k, value in enumerate(values)]
    old = {key: value for key, value in about_metric(name).items() if key != "bounds"}
    mae = dict(about_metric("mae_hu"))
    tables = [Table(rows, {"metrics": {name: old}}), Table([], {"metrics": {"mae_hu": mae, name: old}})]
    assert tables[0].mean(name, "a", dose=1.0).high > 1
    joined = metrics_of(tables)
    assert Table(rows, {"metrics": joined}).mean(name, "a", dose=1.0).high == 1
    assert joined["mae_hu"] == mae and {**joined[name], "bounds": None} == {**old, "bounds": None}
