#!/usr/bin/env bash
# Installs what a build or a test needs and the machine lacks; says what it does; does nothing when all is there.
#   scripts/setup.sh rust     the pinned toolchain with its WASM target
#   scripts/setup.sh wasm     wasm-bindgen at the version of the lock file, under .tools
#   scripts/setup.sh npm      uPlot, playwright-core and binaryen, under node_modules
#   scripts/setup.sh browser  Chromium and a software Vulkan driver (Debian)
#   scripts/setup.sh browsers Firefox ESR and WebKitGTK, where they can be installed (Debian)
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1msetup:\033[0m %s\n' "$*" >&2; }
missing() {
    say "missing: $*"
    exit 1
}

setup_rust() {
    command -v rustup >/dev/null || missing "rustup (https://rustup.rs), which installs the Rust toolchain of rust-toolchain.toml"
    local channel target=wasm32-unknown-unknown
    channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
    if ! rustup target list --installed --toolchain "$channel" 2>/dev/null | grep -qx "$target"; then
        say "installing Rust $channel with $target"
        # Explicitly: RUSTUP_AUTO_INSTALL=0 keeps cargo from doing it.
        rustup toolchain install "$channel" --profile minimal --component rustfmt --component clippy --target "$target"
    fi
}

setup_wasm() {
    setup_rust
    # A linked worktree shares the main checkout's tools.
    local main version
    main=$(git worktree list --porcelain 2>/dev/null | sed -n '1s/^worktree //p')
    if [[ ! -e .tools && -n $main && -d $main/.tools ]]; then ln -s "$main/.tools" .tools; fi
    version=$(grep -A1 '^name = "wasm-bindgen"$' Cargo.lock | sed -n 's/^version = "\(.*\)"/\1/p')
    if [[ $(.tools/bin/wasm-bindgen --version 2>/dev/null || true) == *" $version" ]]; then return; fi
    if command -v cargo-binstall >/dev/null; then
        say "fetching wasm-bindgen $version into .tools"
        if cargo binstall --no-confirm --disable-strategies compile --root .tools "wasm-bindgen-cli@$version"; then return; fi
    fi
    say "building wasm-bindgen $version into .tools (minutes, once)"
    # The tool's own speed hardly matters, its build time does.
    local -x CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
    local -x CARGO_TARGET_DIR=$PWD/.tools/target
    # A mirror of crates.io may lag behind the versions of the tool's own lock file.
    if ! cargo install --locked --force --root .tools wasm-bindgen-cli --version "$version"; then
        say "wasm-bindgen's own lock file could not be used; resolving its dependencies anew"
        cargo install --force --root .tools wasm-bindgen-cli --version "$version"
    fi
    rm -rf .tools/target
}

setup_npm() {
    command -v npm >/dev/null || missing "Node.js 20 or newer with npm (Debian: apt-get install nodejs npm)"
    local stamp=node_modules/.installed-lock.json
    if ! cmp -s package-lock.json "$stamp"; then
        say "npm ci"
        npm ci --no-audit --no-fund
        cp package-lock.json "$stamp"
    fi
}

# Installs Debian packages; fails where that takes rights that are not there.
install_packages() {
    local root=()
    if ((EUID != 0)); then root=(sudo -n); fi
    command -v apt-get >/dev/null && "${root[@]}" true 2>/dev/null || return 1
    say "apt-get install $*"
    local -x DEBIAN_FRONTEND=noninteractive
    "${root[@]}" apt-get update -q && "${root[@]}" apt-get install -q -y --no-install-recommends "$@"
}

setup_browser() {
    local packages=()
    [[ -x ${CHROMIUM:-/usr/bin/chromium} ]] || packages+=(chromium)
    compgen -G '/usr/share/vulkan/icd.d/lvp_icd*.json' >/dev/null || packages+=(mesa-vulkan-drivers)
    ((${#packages[@]})) || return 0
    if install_packages "${packages[@]}"; then
        return
    elif [[ ${packages[*]} == mesa-vulkan-drivers ]]; then
        say "no software Vulkan driver (Debian: mesa-vulkan-drivers): native GPU tests skip on a machine without a GPU"
    else
        missing "${packages[*]} (Debian packages; elsewhere install Chromium and set CHROMIUM to its path)"
    fi
}

# Firefox and WebKitGTK, in which browser tests see that the lab runs there as well; without them those tests skip.
setup_browsers() {
    local packages=()
    [[ -x ${FIREFOX:-/usr/bin/firefox-esr} ]] || packages+=(firefox-esr)
    [[ -x /usr/bin/WebKitWebDriver ]] || packages+=(webkit2gtk-driver)
    [[ -x /usr/bin/xvfb-run ]] || packages+=(xvfb xauth)
    ((${#packages[@]})) || return 0
    install_packages "${packages[@]}" || say "without ${packages[*]} (Debian packages) the tests in those browsers skip"
}

for part in "$@"; do
    case $part in
    rust | wasm | npm | browser | browsers) "setup_$part" ;;
    *) missing "a part named '$part'" ;;
    esac
done
