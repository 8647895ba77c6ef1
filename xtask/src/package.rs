//! `cargo xtask package`: the deb and the rpm, and the proof that both install, run and go away as they should.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::shell::{Done, install, output, project, run};

/// What to do with the packages once they are built.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Install both into fresh root folders, run the program from there, remove them again (needs root)
    #[arg(long)]
    pub(crate) verify: bool,
}

/// Builds both packages below `target/package`.
pub(crate) fn run_all(options: &Options) -> Done {
    install("cargo-deb", "deb")?;
    install("cargo-generate-rpm", "generate-rpm")?;
    let folder = project().join("target/package");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    run("cargo", &["build", "--release", "--locked", "--package", "towline"])?;
    run("cargo", &["deb", "--no-build", "--package", "towline", "--output", "target/package/"])?;
    run("cargo", &["generate-rpm", "--output", "target/package/"])?;
    let (deb, rpm) = (only(&folder, "deb")?, only(&folder, "rpm")?);
    eprintln!("{}\n{}", deb.display(), rpm.display());
    if options.verify { verify(&deb, &rpm) } else { Ok(()) }
}

/// The one file of this kind in a folder.
fn only(folder: &Path, extension: &str) -> Done<PathBuf> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut found = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|have| have == extension));
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        _ => Err(format!("not exactly one .{extension} in {}", folder.display())),
    }
}

/// The mirror that this machine's own apt uses.
const MIRROR: &str = r"cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
  sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' | grep '/debian/*$' | head -1";

fn verify(deb: &Path, rpm: &Path) -> Done {
    let work = project().join("target/package/roots");
    let fresh = work.join("fresh");
    let mirror = output("sh", &["-c", MIRROR])?;
    let fresh_root = fresh.display().to_string();
    let mut debootstrap = vec!["--variant=minbase", "bookworm", fresh_root.as_str()];
    if !mirror.trim().is_empty() {
        debootstrap.push(mirror.trim());
    }
    run("debootstrap", &debootstrap)?;
    let (debian, red_hat) = (work.join("debian"), work.join("rpm"));
    for root in [&debian, &red_hat] {
        run("cp", &["-a", &fresh_root, &root.display().to_string()])?;
    }
    verify_deb(&debian, deb)?;
    verify_rpm(&red_hat, rpm)?;
    run("rm", &["-rf", &work.display().to_string()])
}

fn in_root(root: &Path, script: &str) -> Done {
    run("chroot", &[&root.display().to_string(), "/bin/sh", "-ec", script])
}

/// A configuration that `towline check` takes, in the place of the packaged one's commented examples.
const ADD_CONFIGURATION: &str = r#"cat >>/etc/towline/towline.toml <<'END'

[source.chat]
mapping = "prosody"
files = ["/var/log/prosody/*.log"]

[destination.siem.syslog]
address = ["siem.example.net:6514"]
END
"#;

const INSTALLED: &str = "towline --version && towline --help >/dev/null
getent passwd towline && test -d /var/lib/towline && test \"$(stat -c %U /var/lib/towline)\" = towline
test -f /usr/lib/systemd/system/towline.service && test -f /usr/share/towline/mappings/sources/prosody.toml
test \"$(stat -c %a:%G /etc/towline/towline.toml)\" = 640:towline";

fn verify_deb(root: &Path, deb: &Path) -> Done {
    run("cp", &[&deb.display().to_string(), &root.join("towline.deb").display().to_string()])?;
    in_root(root, "dpkg -i --force-depends /towline.deb")?;
    in_root(root, INSTALLED)?;
    in_root(root, &format!("{ADD_CONFIGURATION}towline check"))?;
    in_root(root, "touch /var/lib/towline/kept && dpkg -r --force-depends towline")?;
    in_root(
        root,
        "test ! -e /usr/bin/towline && test -f /etc/towline/towline.toml && test -f /var/lib/towline/kept",
    )?;
    in_root(
        root,
        "dpkg -P --force-depends towline && test ! -e /etc/towline && test ! -e /var/lib/towline",
    )
}

fn verify_rpm(root: &Path, rpm: &Path) -> Done {
    let root_argument = format!("--root={}", root.display());
    // The fresh root is Debian's, so rpm's database knows none of the libraries that are there.
    run("rpm", &[&root_argument, "-i", "--nodeps", "--nosignature", &rpm.display().to_string()])?;
    in_root(root, INSTALLED)?;
    in_root(root, &format!("{ADD_CONFIGURATION}towline check"))?;
    in_root(root, "touch /var/lib/towline/kept")?;
    run("rpm", &[&root_argument, "-e", "--nodeps", "towline"])?;
    in_root(
        root,
        "test ! -e /usr/bin/towline && test -f /var/lib/towline/kept && grep -q siem.example.net /etc/towline/towline.toml*",
    )
}
