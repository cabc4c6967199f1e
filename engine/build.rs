//! How the workers of this package and of the studies are linked for browsers: their memory comes from outside, so that it can be
//! shared with helpers, which set the stack that they run on.

fn main() {
    println!("cargo::rerun-if-changed=Cargo.toml");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        for argument in ["--import-memory", "--max-memory=4294967296", "--export=__stack_pointer"] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
