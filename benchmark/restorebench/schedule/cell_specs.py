"""The cells of a plan, as they are described to workers."""

from __future__ import annotations

from restorebench.contract.cards import DetectorInfo
from restorebench.journal.layout import outputs_folder, triples_folder
from restorebench.plan.plan import DetectorCell, Plan, RestorerCell, ScoreColumn
from restorebench.schedule.files import weights_of
from restorebench.worker.jobs import CellSpec, ColumnSpec, DatasetSpec, MethodSpec


def cell_specs(plan: Plan) -> tuple[CellSpec, ...]:
    """Return what workers need to know about each cell that can run."""
    detecting = [detector_spec(plan, cell) for cell in plan.detector_cells]
    return (*detecting, *(restorer_spec(plan, cell) for cell in plan.restorer_cells if not cell.skipped))


def _dataset(plan: Plan, cell: RestorerCell | DetectorCell) -> DatasetSpec:
    data = cell.data
    return DatasetSpec(data.name, data.label, data.options, data.task, plan.suite.seed, len(data.samples))


def detector_spec(plan: Plan, cell: DetectorCell) -> CellSpec:
    return CellSpec(
        digest=cell.digest,
        kind="detector",
        name=cell.entry.card.name,
        label=cell.label,
        options=cell.options,
        sources=plan.host_sources(cell),
        dataset=_dataset(plan, cell),
        method=MethodSpec(
            source=cell.entry.source,
            code=cell.entry.code,
            tasks=_tasks(cell),
            weights=weights_of(cell),
            named_paths=cell.named,
            imported=_imported(plan, cell),
        ),
        resize=cell.resize,
    )


def _imported(plan: Plan, cell: DetectorCell | RestorerCell) -> bool:
    """Tell whether the host runs code of a method's plugin; code without a name is our own."""
    return bool(cell.entry.code) and cell.entry.source in plan.imported


def _tasks(cell: DetectorCell) -> tuple[str, ...]:
    assert isinstance(cell.entry.card, DetectorInfo)  # by construction of the plan
    return cell.entry.card.tasks


def restorer_spec(plan: Plan, cell: RestorerCell) -> CellSpec:
    suite = plan.suite
    folder = outputs_folder(cell.data.label, cell.data.task, cell.label, cell.tell, cell.digest)
    return CellSpec(
        digest=cell.digest,
        kind="restorer",
        name=cell.card.name,
        label=cell.label,
        options=cell.options,
        sources=plan.host_sources(cell),
        dataset=_dataset(plan, cell),
        method=MethodSpec(
            source=cell.entry.source,
            code=cell.entry.code,
            weights=weights_of(cell),
            named_paths=cell.named,
            imported=_imported(plan, cell),
            multiple_of=cell.card.multiple_of,
            tiling=cell.card.tiling,
            yardstick=cell.card.yardstick,
            named=cell.card.named,
        ),
        columns=tuple(ColumnSpec(column.name, column.metric, column.protocol) for column in cell.columns),
        tell=cell.tell,
        tile=suite.tile,
        tile_overlap=suite.tile_overlap,
        save=folder if suite.save == "all" else "",
        save_float=suite.save == "all" and (plan.unrounded or needs_floats(plan, cell)),
        triples=suite.samples,
        triples_folder=folder_of_triples(cell),
        batch_size=suite.batch_size,
    )


def folder_of_triples(cell: RestorerCell) -> str:
    return triples_folder(cell.data.label, cell.data.task, cell.data.digest)


def needs_floats(plan: Plan, cell: RestorerCell) -> bool:
    """Return whether a column needs the output before it is rounded to 8 bits."""
    return not all(quantised(plan, column) for column in cell.columns)


def quantised(plan: Plan, column: ScoreColumn) -> bool:
    protocol = plan.catalog.find("metric", column.metric).protocol(column.protocol)
    return protocol is None or bool(protocol.quantised)
