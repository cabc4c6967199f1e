//! What no script repeats is refused by its name.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, and what helps them is no less a test")]

mod made;

use code::Framework;
use made::made;

#[test]
fn what_no_script_repeats_is_refused_by_name() {
    for (text, part) in [
        ("#lab?preset=mlp&optimizer.rho=0.1&v=2", "SAM"),
        ("#lab?preset=mlp&optimizer=prodigy&optimizer.rho=0.1&v=2", "Prodigy is not among the update rules"),
        ("#lab?preset=convnet&augment.mixup=0.2&v=2", "mixup"),
        ("#lab?preset=convnet&augment.crop=0.8&v=2", "crops"),
        ("#lab?preset=convnet&model.ghost=16&v=2", "ghost"),
        ("#lab?preset=cct-digits&objective=restore&v=2", "patches are hidden"),
        ("#lab?preset=mlp&schedule.momentum=counter&v=2", "momentum"),
        ("#lab?preset=mlp&edit=1:optimizer.weight_decay=1&v=2", "“optimizer.weight_decay” was changed at update 1"),
        ("#lab?preset=convnet&data.train=300&batch.size=0&v=2", "micro-batches"),
    ] {
        let refused = made(text, Framework::Torch).err();
        let message = refused.map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains(part) && message.contains("PyTorch"), "{text}: {message}");
    }
}
