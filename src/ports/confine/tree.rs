//! The folder tree that a confined program sees: the system's own folders, a scratch folder, and nothing else.

use std::{
    ffi::CString,
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change};

use super::{Relay, SCRATCH};

/// Folders that hold programs and libraries.
const SYSTEM: &[&str] = &["bin", "lib", "lib32", "lib64", "libx32", "sbin", "usr", "nix/store", "gnu/store"];

/// Of `/etc`, what programs need to find libraries and to check certificates.
const ETC: &[&str] = &[
    "alternatives",
    "ca-certificates",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "pki/ca-trust",
    "pki/tls/certs",
    "ssl/certs",
    "ssl/openssl.cnf",
];

const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

/// Where the input lies inside.
pub(super) const INPUT: &str = "/input.json";
/// Where our own program lies inside, for the probe.
pub(super) const OWN: &str = "/.conveyor";

/// Builds the tree on `root`, an empty folder. The process has a mount namespace of its own.
pub(super) fn build(root: &Path, spec: &super::inside::Spec, id: u32) -> Result<(), String> {
    let step = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| format!("{what}: {error}")
    };
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| format!("make mounts private: {error}"))?;
    memory(root, "mode=0755,size=64m").map_err(step("mount the root"))?;
    for name in SYSTEM {
        let outside = Path::new("/").join(name);
        let Ok(about) = outside.symlink_metadata() else { continue };
        if about.is_symlink() {
            let to = fs::read_link(&outside).map_err(step(name))?;
            symlink(to, root.join(name)).map_err(step(name))?;
        } else {
            bind(root, &outside).map_err(step(name))?;
        }
    }
    for name in ETC {
        let outside = Path::new("/etc").join(name);
        if outside.exists() {
            bind(root, &outside).map_err(step(name))?;
        }
    }
    etc(root, &spec.relays, id).map_err(step("write /etc"))?;
    fs::create_dir(root.join("dev")).map_err(step("/dev"))?;
    for name in DEVICES {
        let device = Path::new("/dev").join(name);
        let everybody = device.metadata().is_ok_and(|about| about.permissions().mode() & 0o006 == 0o006);
        if everybody {
            bind(root, &device).map_err(step(name))?;
        } else if *name == "null" {
            // A machine on which only root may use it. What nobody reads can lie in the scratch folder.
            symlink(Path::new(SCRATCH).join(".null"), root.join("dev/null")).map_err(step(name))?;
        }
    }
    symlink("/proc/self/fd", root.join("dev/fd")).map_err(step("/dev/fd"))?;
    symlink(SCRATCH, root.join("dev/shm")).map_err(step("/dev/shm"))?;
    let scratch = root.join(SCRATCH.trim_start_matches('/'));
    fs::create_dir(&scratch).map_err(step(SCRATCH))?;
    memory(&scratch, &format!("mode=1777,size={},nr_inodes=65536", spec.limits.scratch_bytes))
        .map_err(step(SCRATCH))?;
    let null = scratch.join(".null");
    fs::write(&null, "").map_err(step("null"))?;
    fs::set_permissions(&null, fs::Permissions::from_mode(0o666)).map_err(step("null"))?;
    for name in ["home", "work"] {
        let folder = scratch.join(name);
        fs::create_dir(&folder).map_err(step(name))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).map_err(step(name))?;
    }
    fs::create_dir(root.join("proc")).map_err(step("/proc"))?;
    let own = std::env::current_exe().map_err(step("find our own program"))?;
    bind_as(root, &own, Path::new(OWN)).map_err(step("bring our own program"))?;
    fs::write(root.join(INPUT.trim_start_matches('/')), &spec.input).map_err(step("write the input"))?;
    let mut wanted: Vec<&Path> = spec.read.iter().map(PathBuf::as_path).collect();
    wanted.push(&spec.program);
    // A folder before what lies in it.
    wanted.sort();
    for path in wanted {
        bind(root, path).map_err(step(&path.display().to_string()))?;
    }
    Ok(())
}

/// Makes the tree the root of this process. Everything but the scratch folder is read-only after it.
pub(super) fn enter(root: &Path) -> Result<(), String> {
    let step = |what: &str| {
        let what = what.to_owned();
        move |error: rustix::io::Errno| format!("{what}: {error}")
    };
    let quiet = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", root.join("proc"), "proc", quiet, None).map_err(step("mount /proc"))?;
    std::env::set_current_dir(root).map_err(|error| error.to_string())?;
    rustix::process::pivot_root(".", ".").map_err(step("change the root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(step("leave the old root"))?;
    std::env::set_current_dir("/").map_err(|error| error.to_string())?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(4);
        let (Some(place), Some(options)) = (fields.next(), fields.next()) else { continue };
        if place == SCRATCH {
            continue;
        }
        let place = unescaped(place);
        // What was set outside cannot be taken off here.
        let kept = options.split(',').fold(MountFlags::empty(), |flags, option| flags | flag(option));
        rustix::mount::mount_remount(&place, MountFlags::BIND | MountFlags::RDONLY | kept, "")
            .map_err(step(&format!("make {} read-only", place.display())))?;
    }
    Ok(())
}

fn flag(option: &str) -> MountFlags {
    match option {
        "nosuid" => MountFlags::NOSUID,
        "nodev" => MountFlags::NODEV,
        "noexec" => MountFlags::NOEXEC,
        "noatime" => MountFlags::NOATIME,
        "nodiratime" => MountFlags::NODIRATIME,
        "relatime" => MountFlags::RELATIME,
        _ => MountFlags::empty(),
    }
}

/// `\040` and its like as the kernel writes them.
fn unescaped(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'\\'
            && let Some(code) = after.get(..3).and_then(|code| std::str::from_utf8(code).ok())
            && let Ok(byte) = u8::from_str_radix(code, 8)
        {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

fn memory(place: &Path, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    mount("tmpfs", place, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(options.as_c_str()))?;
    Ok(())
}

fn bind(root: &Path, path: &Path) -> io::Result<()> {
    bind_as(root, path, path)
}

/// Shows `path` at the place `inside`; what is shown there already stays.
fn bind_as(root: &Path, path: &Path, inside: &Path) -> io::Result<()> {
    let target = root.join(inside.strip_prefix("/").map_err(io::Error::other)?);
    if target.exists() && fs::canonicalize(&target).is_ok_and(|there| there.starts_with(root)) && same(path, &target) {
        return Ok(());
    }
    if let Some(folder) = target.parent() {
        // Those that lie in the scratch folder look like the ones outside, and nothing is to be put into them.
        fs::DirBuilder::new().recursive(true).mode(0o555).create(folder)?;
    }
    if path.is_dir() {
        fs::create_dir_all(&target)?;
    } else if !target.exists() {
        fs::write(&target, "")?;
    }
    mount_bind_recursive(path, &target)?;
    Ok(())
}

fn same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |path: &Path| fs::metadata(path).map(|about| (about.dev(), about.ino())).ok();
    id(one).is_some() && id(one) == id(other)
}

fn etc(root: &Path, relays: &[Relay], id: u32) -> io::Result<()> {
    let folder = root.join("etc");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("passwd"), format!("reviewer:x:{id}:{id}::{SCRATCH}/home:/bin/sh\n"))?;
    fs::write(folder.join("group"), format!("reviewer:x:{id}:\n"))?;
    fs::write(folder.join("nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files\n")?;
    fs::write(folder.join("resolv.conf"), "")?;
    let mut hosts = "127.0.0.1 localhost\n".to_owned();
    for relay in relays.iter().filter(|relay| relay.host.parse::<std::net::IpAddr>().is_err()) {
        hosts.push_str(&format!("127.0.0.1 {}\n", relay.host));
    }
    fs::write(folder.join("hosts"), hosts)
}
