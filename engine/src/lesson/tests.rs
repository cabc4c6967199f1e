use super::*;

const TEXT: &str = "# Rates\nHow far a step may go.\n@card Rate\n@start #lab?preset=tanh-mlp&steps=300\n\n\
    ## Look\nFirst words,\nstill the same.\n\nSecond words.\n@look loss\n\n\
    ## Try\n@set schedule.peak=5\n@show schedule.peak, batch.size\n@run fast\n@ask What then?\n\
    - It falls | fast.loss < fast.first\n- It grows | fast.loss >= fast.first\n\
    @if fast.loss > fast.first | From {fast.first} to {fast.loss}, {100 * fast.accuracy}%.\n@else It fell.\n";

#[test]
fn a_lesson_is_read() {
    let lesson = Lesson::read(TEXT).unwrap();
    assert_eq!((lesson.title.as_str(), lesson.about.as_str()), ("Rates", "How far a step may go."));
    assert_eq!((lesson.card.as_deref(), lesson.preset.as_str()), (Some("Rate"), "tanh-mlp"));
    let [look, try_it] = &lesson.steps[..] else { panic!("{lesson:?}") };
    assert_eq!(look.text, ["First words, still the same.", "Second words."]);
    assert_eq!((look.look.as_deref(), look.spec.steps, look.spec.schedule.peak), (Some("loss"), 300, 0.1));
    assert_eq!(try_it.spec.schedule.peak, 5.0);
    assert_eq!(try_it.show, ["schedule.peak", "batch.size"]);
}

#[test]
fn the_numbers_choose_what_is_said() {
    let step = &Lesson::read(TEXT).unwrap().steps[1];
    let say = |ask: &Ask| step.concluded(ask).map(|i| step.conclusions[i].1.said(ask, &|value| format!("{value}")));
    let grown = |_: &str, quantity| Some(if quantity == Quantity::First { 2.0 } else { 3.0 });
    assert_eq!(say(&grown).as_deref(), Some("From 2 to 3, 300%."));
    assert_eq!(step.ask.as_ref().unwrap().right(&grown), Some(1));
    let fallen = |_: &str, quantity| Some(if quantity == Quantity::First { 2.0 } else { 1.0 });
    assert_eq!(say(&fallen).as_deref(), Some("It fell."));
    assert_eq!(say(&|_, _| None), None, "a run that was not made leaves it open");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, line, wrong) in [
        ("", 1, "begins with"),
        ("Hello", 1, "begins with"),
        ("# A", 1, "at least one step"),
        ("# A\n# B", 2, "one title"),
        ("# A\n@set seed=1\n## B", 2, "belongs into a step"),
        ("# A\n@start #lab?preset=nothing\n## B", 2, "no preset"),
        ("# A\n@start #studies\n## B", 2, "link to the lab"),
        ("# A\n## B\n@paint red", 3, "no “@paint”"),
        ("# A\n## B\n@run", 3, "says nothing"),
        ("# A\n## B\n@run Fast 1", 3, "small letters"),
        ("# A\n## B\n@run a\n## C\n@run a", 5, "already"),
        ("# A\n## B\n@set colour=red", 3, "colour"),
        ("# A\n## B\n@set batch.size=many", 3, "any"),
        ("# A\n## B\n@show colour", 3, "no control “colour”"),
        ("# A\n## B\n@if a.loss > 1 | x\n@else y", 3, "no run “a”"),
        ("# A\n## B\n@run a\n@if a.loss > 1 | x\n## C", 5, "needs an “@else”"),
        ("# A\n## B\n@run a\n@if a.loss > 1", 4, "@if when"),
        ("# A\n## B\n@run a\n@else {a.loss", 4, "brace"),
        ("# A\n## B\n@run a\n@else x\n@else y", 5, "after “@else”"),
        ("# A\n## B\n@run a\n@ask What?\n- It falls | a.loss < 1", 5, "two answers"),
        ("# A\n## B\n@run a\n@ask What?\n- It falls", 5, "- answer |"),
        (&format!("# A\n{}", "## B\n".repeat(30)), 22, "at most 20"),
        (&"x".repeat(100_000), 1, "at most"),
    ] {
        let fault = Lesson::read(text).unwrap_err();
        assert!(fault.line == line && fault.message.contains(wrong), "{fault} ({text})");
    }
}
