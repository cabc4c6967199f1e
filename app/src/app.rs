//! The shell: header, navigation, the page that the address names, and what may lie over it.

use crate::erase::{effect, flag, part, press, words};
use engine::fewshot::FewshotLink;
use engine::spec::Page;
use leptos::ev::{self, KeyboardEvent};
use leptos::html::Input;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::controls::badge::Badge;
use crate::controls::dialog::Dialogs;
use crate::controls::drop::DropZone;
use crate::controls::notices::{Banners, Toasts};
use crate::controls::share::Share;
use crate::controls::theme::Theme;
use crate::pages::bench::BenchPage;
use crate::pages::continual::ContinualPage;
use crate::pages::fewshot::FewshotPage;
use crate::pages::lab::LabPage;
use crate::pages::lesson::LessonPage;
use crate::pages::studies::StudiesPage;
use crate::pages::study::{StudyPage, study_of};
use crate::pages::sweep::SweepPage;
use crate::present::{self, Present};
use crate::reactive::{RwSignal, Signal};
use crate::state::sweep::Sweeping;
use crate::state::{Dialog, Lab, address, bench, watchdog};
use crate::widgets::icon::Icon;
use crate::widgets::keys;

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    let lab = Lab::new(address::read());
    provide_context(lab);
    bench::install(lab);
    watchdog::install(lab);
    lab.follow_address();
    present::follow(lab);
    let search_box = NodeRef::<Input>::new();
    listen(lab, search_box);
    lab.fetch_studies();
    lab.fetch_lessons();
    lab.fetch_terms();
    // After the first paint: the engine is large, and the page does not need it to be seen.
    let painted = RwSignal::new(false);
    request_animation_frame(move || {
        set_timeout(
            move || {
                painted.set(true);
                lab.recall();
            },
            std::time::Duration::ZERO,
        );
    });
    effect(move || {
        if painted.get() {
            lab.wake();
        }
    });
    // A page is built anew only when another one is shown, not when its settings change.
    let page = Signal::memo(move |_| lab.page.get());
    let body = move || match page.get() {
        Page::Lab => view! { <LabPage search_box/> }.into_any(),
        Page::Sweep => view! { <SweepPage/> }.into_any(),
        Page::Fewshot => view! { <FewshotPage/> }.into_any(),
        Page::Continual => view! { <ContinualPage/> }.into_any(),
        Page::Studies => view! { <StudiesPage/> }.into_any(),
        Page::Lesson => view! { <LessonPage/> }.into_any(),
        Page::Bench => view! { <BenchPage/> }.into_any(),
        page => study_of(page).map_or_else(|| ().into_any(), |id| view! { <StudyPage id/> }.into_any()),
    };
    effect(move || {
        let title = match page.get() {
            Page::Lab => "Minibatch".to_owned(),
            Page::Sweep => "Sweep · Minibatch".into(),
            Page::Continual => "Continual learning · Minibatch".into(),
            Page::Studies => "Studies · Minibatch".into(),
            Page::Study(id) => format!("Study {id} · Minibatch"),
            Page::Fewshot => "Few-shot · Minibatch".into(),
            Page::Lesson => "Lessons · Minibatch".into(),
            Page::Bench => "Bench · Minibatch".into(),
        };
        document().set_title(&title);
    });
    view! {
        <div class="shell" class:embedded=flag(move || lab.embed.get())>
            <Header/>
            <Banners/>
            {part(move || lab.task.with(|task| (!task.is_empty()).then(|| view! { <p class="task">{task.clone()}</p> }.into_any())))}
            <div class="page">{body}</div>
        </div>
        <DropZone/>
        <Dialogs/>
        <Toasts/>
    }
}

#[component]
fn Header() -> impl IntoView {
    let lab = Lab::of();
    let at = move |here: fn(Page) -> bool| move || if here(lab.page.get()) { "page" } else { "false" };
    let home = move || lab.lab_address().fragment();
    let studies = Signal::memo(move |_| lab.studies.with(Vec::len));
    view! {
        <header class="top">
            <button class="skip" on:click=press(|_| skip())>"Skip to the page"</button>
            <a class="logo" href=home target=move || lab.embed.get().then_some("_blank") aria-label="Minibatch">
                <svg viewBox="0 0 20 20" aria-hidden="true"><path d="M2 16 L6 5 L10 13 L14 3 L18 16"/></svg>
                <span>"Minibatch"</span>
            </a>
            <nav aria-label="Pages">
                <a href=home aria-current=at(|page| page == Page::Lab)>"Lab"</a>
                <a href="#lesson" aria-current=at(|page| page == Page::Lesson)>"Lessons"</a>
                <a href=words(move || lab.swept(Sweeping::link)) aria-current=at(|page| page == Page::Sweep)>"Sweep"</a>
                <a
                    href=words(move || lab.learned(|known| known.spec.link().fragment()))
                    aria-current=at(|page| page == Page::Continual)
                >
                    "Continual"
                </a>
                <a href=words(move || lab.fewshot.link.with(FewshotLink::link).fragment()) aria-current=at(|page| page == Page::Fewshot)>"Few-shot"</a>
                {part(move || (studies.get() > 0).then(|| view! {
                    <a href="#studies" aria-current=at(|page| matches!(page, Page::Studies | Page::Study(_)))>
                        "Studies"<sup>{studies.get()}</sup>
                    </a>
                }.into_any()))}
                <a href="#bench" aria-current=at(|page| page == Page::Bench)>"Bench"</a>
            </nav>
            <Badge/>
            <Share/>
            <Present/>
            <button class="icon wide" title="Keys (?)" aria-label="Help" on:click=press(move |_| lab.dialog.set(Some(Dialog::Help)))>
                <Icon name="help"/>
            </button>
            <Theme/>
        </header>
    }
    .into_any()
}

/// Moves the focus past the header. Not a link to a place: the address after `#` is the page's state.
fn skip() {
    let main: Option<web_sys::HtmlElement> =
        document().query_selector("main").ok().flatten().and_then(|main| main.dyn_into().ok());
    if let Some(main) = main {
        main.set_tab_index(-1);
        keys::focus(&main);
    }
}

/// Whether typing belongs to the element: then keys are text, not commands.
fn is_typing(event: &KeyboardEvent) -> bool {
    let target: Option<web_sys::Element> = event.target().and_then(|target| target.dyn_into().ok());
    target.is_some_and(|target| {
        let editable = target.closest("input:not([type=range]), select, textarea, dialog").ok().flatten().is_some();
        // Space and the arrows already mean something on a button or a slider.
        let own = event.key() == " " && target.closest("button, summary, a, input").ok().flatten().is_some();
        editable || own
    })
}

fn listen(lab: Lab, search_box: NodeRef<Input>) {
    let keys = window_event_listener(ev::keydown, move |event| {
        let free = !(event.ctrl_key() || event.meta_key() || event.alt_key() || is_typing(&event));
        if !free || lab.dialog.with_untracked(Option::is_some) {
            return;
        }
        let page = lab.page.get_untracked();
        let in_lab = matches!(page, Page::Lab | Page::Lesson);
        match event.key().as_str() {
            "?" => lab.dialog.set(Some(Dialog::Help)),
            " " if page == Page::Continual => lab.toggle_continual(),
            "s" if page == Page::Continual => lab.step_continual(),
            "r" if page == Page::Continual => lab.reset_continual(),
            " " if in_lab => lab.toggle(),
            "s" if in_lab => lab.step_once(),
            "r" if in_lab => lab.reset(),
            "/" if page == Page::Lab => {
                lab.sheet.set(true);
                if let Some(input) = search_box.get_untracked() {
                    // An input that cannot take the focus leaves it where it is.
                    let _ = input.focus();
                }
            }
            "Escape" => {
                lab.sheet.set(false);
                lab.present.set(false);
                return;
            }
            _ => return,
        }
        event.prevent_default();
    });
    let hidden = document_hidden(move || lab.save());
    // The page's listeners live as long as it does.
    std::mem::forget((keys, hidden));
}

/// Calls when the tab goes out of sight, which may be the last chance to keep anything.
fn document_hidden(then: impl Fn() + 'static) -> WindowListenerHandle {
    window_event_listener(ev::visibilitychange, move |_| {
        if document().hidden() {
            then();
        }
    })
}
