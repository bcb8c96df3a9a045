"""What goes to the device and back in a step of training, counted on a device that is not there."""

from dataclasses import replace

from dhaps_core.answers.questions import label_oracle
from dhaps_core.session.active import ActiveSession
from tests.device.pretended import moved, pretended
from tests.given import TINY, tiny_items


def test_a_step_of_training_brings_its_rows_and_relations_and_takes_one_number_back(tmp_path):
    items, moves = tiny_items(), {}
    for steps in (2, 12):
        settings = replace(TINY, training=replace(TINY.training, least=steps, most=steps))
        with pretended():
            session = ActiveSession(tmp_path / str(steps), items, settings, device="pretended")
            session.run_round(label_oracle(items))
            with moved() as found:
                session.run_round(label_oracle(items))
            moves[steps] = len(found)
    # Rows, relations, classes, which have one, and references: what an answer or a CPU generator decides.
    assert (moves[12] - moves[2]) / 10 <= 5
