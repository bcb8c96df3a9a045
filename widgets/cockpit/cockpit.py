"""The cockpit: card, rounds, map, neighbours and curves in one cell, which keeps its height and its focus."""

from typing import Any

import anywidget
import ipywidgets

from widgets.card import style, with_summary
from widgets.cockpit.near import LiveNeighbours
from widgets.explore.pair_map import PairMap
from widgets.labeller.labeller import Labeller
from widgets.many.sheet import ManySheet
from widgets.stepper import Stepper
from widgets.workbench import Workbench

__all__ = ["Cockpit"]


class Frame(anywidget.AnyWidget):  # type: ignore[misc]
    """Nothing to see: it brings the style that lays out the parts."""

    _esm = "export default { render() {} };"
    _css = style(__file__)


class Cockpit(ipywidgets.VBox):  # type: ignore[misc]
    """Everything for labelling round after round, by keys alone.

    A run without its unsupervised start gets it in the background, as its first round; pairs to be asked
    while a round is trained are chosen there, too.

    Args:
        bench: the run in use.

    Attributes:
        card: where questions are answered.
        many: laid over the card while many items are named at once.
        stepper: controls of the run.
        chart: the map.
        near: nearest codes of the items that the card shows.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.stepper = Stepper(bench)
        self.card = Labeller(bench, run=self.stepper.run_next)
        self.many = ManySheet(bench, self.card.say)
        self.chart = PairMap(bench, gather=self.many.gather)
        self.near = LiveNeighbours(bench, self.card, self.many.gather)
        self.many.observe(lambda _: self.chart.mark(self.many.state.keys), "view")
        settings = ipywidgets.Accordion(
            [self.stepper.settings], titles=("settings of the run",), selected_index=None
        )
        parts = {
            "card": [self.card, self.many],
            "map": [self.chart],
            "line": [self.stepper.line],
            "near": [self.near],
            "told": [self.stepper.told],
            "settings": [settings],
        }
        cells = [
            ipywidgets.VBox(part).add_class("dhaps-part").add_class(f"dhaps-at-{at}")
            for at, part in parts.items()
        ]
        super().__init__([ipywidgets.VBox(cells).add_class("dhaps-grid"), Frame()])
        self.add_class("dhaps-card").add_class("dhaps-cockpit")
        bench.prepare()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The cockpit where widgets live, and what the card would tell everywhere else."""
        self.card.displayed()
        return with_summary(super()._repr_mimebundle_(**options), self.card.summary())
