//! Arrow keys within a group of buttons, of which one at a time is in the tab order: the choices of a control, the entries
//! of a menu.

use leptos::ev::KeyboardEvent;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

/// Where a key leads from place `at` of `count`, round the ends.
fn next(key: &str, at: usize, count: usize) -> Option<usize> {
    match key {
        _ if count == 0 => None,
        "ArrowDown" | "ArrowRight" => Some((at + 1) % count),
        "ArrowUp" | "ArrowLeft" => Some((at + count - 1) % count),
        "Home" => Some(0),
        "End" => Some(count - 1),
        _ => None,
    }
}

/// Buttons of a group that can be pressed.
pub fn members(group: &Element) -> Vec<HtmlElement> {
    let Ok(found) = group.query_selector_all("button:not(:disabled)") else { return Vec::new() };
    (0..found.length()).filter_map(|i| found.item(i)?.dyn_into().ok()).collect()
}

/// Gives an element the focus; one that cannot take it leaves it where it is.
pub fn focus(element: &HtmlElement) {
    let _ = element.focus();
}

/// Moves the focus within the group that listens, if the key is one that does. Returns the button that has it now.
pub fn rove(event: &KeyboardEvent) -> Option<HtmlElement> {
    let group: Element = event.current_target()?.dyn_into().ok()?;
    let from: Element = event.target()?.dyn_into().ok()?;
    let members = members(&group);
    let at = members.iter().position(|member| *member.unchecked_ref::<Element>() == from)?;
    let to = members.get(next(&event.key(), at, members.len())?)?.clone();
    event.prevent_default();
    event.stop_propagation();
    focus(&to);
    Some(to)
}

/// The same for choices, which the arrow keys choose at once.
pub fn choose(event: &KeyboardEvent) {
    if let Some(choice) = rove(event) {
        choice.click();
    }
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn arrows_go_round() {
        assert_eq!(
            ["ArrowDown", "ArrowUp", "Home", "End"].map(|key| next(key, 2, 3)),
            [Some(0), Some(1), Some(0), Some(2)]
        );
        assert_eq!(next("ArrowUp", 0, 3), Some(2));
        assert_eq!((next("a", 0, 3), next("ArrowDown", 0, 0)), (None, None));
    }
}
