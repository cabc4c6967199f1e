//! Minibatch's page: a Leptos application that talks to the engine's worker. It never touches a tensor; it shows what
//! arrives as events ([`link`]) and keeps all it knows in one place ([`state`]).

mod app;
mod controls;
mod erase;
mod figure;
mod lanes;
mod link;
mod pages;
mod panels;
mod present;
mod reactive;
mod state;
mod store;
mod terms;
mod text;
mod widgets;

fn main() {
    console_error_panic_hook::set_once();
    controls::theme::restore();
    leptos::mount::mount_to_body(app::App);
}
