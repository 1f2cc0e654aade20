//! The system calls that a confined program does not have.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule, apply_filter,
};

/// Other processes, mounts, namespaces, keys, the kernel itself, and calls that go round a filter.
const NEVER: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Takes the calls away from this process and everything that it starts. `network` leaves TCP sockets, for a network in
/// which only a relay answers.
///
/// # Errors
/// What could not be set up.
pub(super) fn apply(network: bool) -> Result<(), String> {
    let install = |rules: Rules, action| {
        let arch = std::env::consts::ARCH.try_into().map_err(|_| "no filter for this processor".to_owned())?;
        let filter =
            SeccompFilter::new(rules.0, SeccompAction::Allow, action, arch).map_err(|error| error.to_string())?;
        let program: BpfProgram = filter.try_into().map_err(|error: seccompiler::BackendError| error.to_string())?;
        apply_filter(&program).map_err(|error| error.to_string())
    };
    // Its flags lie in memory, where a filter cannot look; without it programs go back to `clone`.
    let mut missing = Rules::default();
    missing.never(libc::SYS_clone3);
    install(missing, SeccompAction::Errno(libc::ENOSYS.cast_unsigned()))?;

    let mut rules = Rules::default();
    for call in NEVER {
        rules.never(*call);
    }
    for flag in [
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWUTS,
    ] {
        let flag = u64::from(flag.cast_unsigned());
        rules.when(libc::SYS_clone, vec![condition(0, Op::MaskedEq(flag), flag)?])?;
    }
    for request in [libc::TIOCSTI, TIOCLINUX] {
        rules.when(libc::SYS_ioctl, vec![condition(1, Op::Eq, request)?])?;
    }
    if network {
        let (v4, v6) = (number(libc::AF_INET), number(libc::AF_INET6));
        rules.when(libc::SYS_socket, vec![condition(0, Op::Ne, v4)?, condition(0, Op::Ne, v6)?])?;
        let kind = Op::MaskedEq(0xf);
        for other in [libc::SOCK_DGRAM, libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP] {
            rules.when(libc::SYS_socket, vec![condition(1, kind.clone(), number(other))?])?;
        }
    } else {
        rules.never(libc::SYS_socket);
    }
    install(rules, SeccompAction::Errno(libc::EPERM.cast_unsigned()))
}

/// Not among the constants of every C library.
const TIOCLINUX: libc::Ioctl = 0x541c;

fn number(constant: libc::c_int) -> u64 {
    u64::from(constant.cast_unsigned())
}

fn condition(argument: u8, op: Op, value: u64) -> Result<Condition, String> {
    Condition::new(argument, Len::Dword, op, value).map_err(|error| error.to_string())
}

#[derive(Default)]
struct Rules(BTreeMap<i64, Vec<SeccompRule>>);

impl Rules {
    fn never(&mut self, call: libc::c_long) {
        for call in names(call) {
            self.0.insert(call, Vec::new());
        }
    }

    fn when(&mut self, call: libc::c_long, conditions: Vec<Condition>) -> Result<(), String> {
        let rule = SeccompRule::new(conditions).map_err(|error| error.to_string())?;
        for call in names(call) {
            self.0.entry(call).or_default().push(rule.clone());
        }
        Ok(())
    }
}

/// The numbers of a call: on x86-64 a kernel may know each under a second one, with 32-bit pointers.
fn names(call: libc::c_long) -> impl Iterator<Item = i64> {
    let second = cfg!(target_arch = "x86_64").then_some(call | 0x4000_0000);
    std::iter::once(call).chain(second)
}
