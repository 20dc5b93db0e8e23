"""What is known around the numbers: the discrepancies, recomputed where the tables can show them."""

import pytest

from results import knowledge, tables

# From the text of section 5 and appendix C: the difference it states, and what its own tables give. A pair that
# differs is a known contradiction of the paper, by its number in the list of discrepancies.
STATED_AND_SHOWN = {
    ("table3/vicreg_bn/var_reg", "table3/vicreg_none/var_reg"): (1.0, 1.0, None),
    ("table3/simsiam_sg_pr_bn/var_reg", "table3/simsiam_sg_pr_bn/no_reg"): (0.2, 0.2, None),
    ("table3/byol_me_sg_pr_bn/var_reg", "table3/byol_me_sg_pr_bn/no_reg"): (0.9, 0.9, None),
    ("table3/vicreg_pr_bn/var_cov_reg", "table3/vicreg_pr/var_cov_reg"): (1.3, 1.4, 15),
    ("table3/vicreg_bn/var_cov_reg", "table3/vicreg_none/var_cov_reg"): (1.3, 1.2, 15),
    ("batch_size/2048/top1", "batch_size/256/top1"): (0.7, 0.7, None),
    ("batch_size/2048/top1", "batch_size/128/top1"): (1.2, 1.3, 14),
    ("batch_size/2048/top1", "batch_size/4096/top1"): (0.8, 0.8, None),
    ("table4a/inv_var_cov/top1", "table4a/inv_var/top1"): (11.1, 11.1, None),
    ("table4b/default/top1", "table4b/standardization/top1"): (1.1, 0.2, 13),
    ("table4b/default/top1", "table4b/no_bn/top1"): (1.2, 1.2, None),
    ("table4b/default/top1", "table4b/l2_normalization/top1"): (3.5, 3.5, None),
    ("table6/width_16384/top1", "table6/width_8192/top1"): (0.2, 0.2, None),
    ("table6/width_8192/top1", "table4b/default/top1"): (0.0, 0.5, 16),
}


def test_every_stated_difference_is_recomputed_from_the_tables() -> None:
    found = {(s.higher, s.lower): (s.stated, s.shown, s.discrepancy) for s in knowledge.statements()}
    assert found == STATED_AND_SHOWN


def test_a_statement_that_does_not_hold_names_a_discrepancy_that_quotes_it() -> None:
    listed = {item.number: item for item in knowledge.discrepancies()}
    for statement in knowledge.statements():
        if statement.stated == statement.shown:
            assert statement.discrepancy is None
        else:
            assert statement.discrepancy is not None
            item = listed[statement.discrepancy]
            assert f"{statement.shown:g}" in item.problem + item.paper or statement.discrepancy == 16


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, ("mean over n·d", "Algorithm 1")),
        (2, ("halves", "12.5")),
        (3, ("(0.2, 0.1)", "0.08")),
        (9, ("0.05", "0.1", "79.07")),
        (16, ("16834", "16384", "68.8")),
        (28, ("--lr-classifier", "--lr-head")),
    ],
)
def test_the_discrepancies_name_both_values_and_the_choice(number: int, words: tuple[str, ...]) -> None:
    item = knowledge.discrepancies()[number - 1]
    text = " ".join((item.where, item.problem, item.paper, item.code, item.later, item.choice))
    assert all(word in text for word in words)
    assert item.choice and item.concerns


def test_there_are_28_discrepancies() -> None:
    assert len(knowledge.discrepancies()) == 28


def test_users_reports_carry_their_numbers() -> None:
    reports = {(r.cell, r.label, r.value) for r in knowledge.user_reports()}
    assert {
        ("table2/voc0712/AP50", "VICReg", 79.07),
        ("table2/inat18/top1", "VICReg", 10.0),
        ("table2/places205/top1", "VICReg", 41.0),
        ("table2/voc07/mAP", "Barlow Twins", 86.83),
        ("table1/linear/top1", "Barlow Twins", 73.27),
    } <= reports


def test_the_supervised_control_is_the_papers_own_row() -> None:
    references = [r for r in knowledge.control_references() if r.label == "Supervised"]
    assert len(references) == 7
    for reference in references:
        number = tables.paper_number(reference.cell, "Supervised")
        assert number is not None and number.value == reference.value
