//! A function, run in a child and traced instruction by instruction.

use std::collections::HashMap;

use iced_x86::{Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Register};
use libc::{c_int, c_void, pid_t, user_regs_struct};

/// The state before an instruction.
pub struct Step {
    /// Its address.
    pub rip: u64,
    /// The effective addresses of its memory operands, in their order.
    pub operands: [u64; 2],
    /// General-purpose registers.
    pub registers: [u64; Self::REGISTERS],
}

impl Step {
    pub const REGISTERS: usize = 15;

    fn new(registers: &user_regs_struct, decoded: &mut Decoded) -> Self {
        Self {
            rip: registers.rip,
            operands: decoded.operands(registers),
            registers: [
                registers.rax,
                registers.rbx,
                registers.rcx,
                registers.rdx,
                registers.rsi,
                registers.rdi,
                registers.rbp,
                registers.r8,
                registers.r9,
                registers.r10,
                registers.r11,
                registers.r12,
                registers.r13,
                registers.r14,
                registers.r15,
            ],
        }
    }
}

/// Instructions by address.
struct Decoded {
    instructions: HashMap<u64, Instruction>,
    factory: InstructionInfoFactory,
}

impl Decoded {
    fn operands(&mut self, registers: &user_regs_struct) -> [u64; 2] {
        let instruction = *self.instructions.entry(registers.rip).or_insert_with(|| decode(registers.rip));
        let mut operands = [0; 2];
        let used = self.factory.info(&instruction).used_memory().iter();
        for (memory, operand) in used.zip(&mut operands) {
            let address = memory.virtual_address(0, |register, _, _| Some(value(register, registers)));
            *operand = address.unwrap_or_default();
        }
        operands
    }
}

/// The instruction at an address of this program, which is that of the child too.
fn decode(address: u64) -> Instruction {
    let octets: Vec<u8> = (0..15)
        .map(|offset| {
            let octet = (address + offset) as *const u8;
            // SAFETY: code that a child of this process has just reached is mapped here; what lies behind it in its page too,
            // and the last instruction of a mapping is not reached.
            unsafe { octet.read_volatile() }
        })
        .collect();
    Decoder::with_ip(64, &octets, address, DecoderOptions::NONE).decode()
}

fn value(register: Register, registers: &user_regs_struct) -> u64 {
    match register.full_register() {
        Register::RAX => registers.rax,
        Register::RBX => registers.rbx,
        Register::RCX => registers.rcx,
        Register::RDX => registers.rdx,
        Register::RSI => registers.rsi,
        Register::RDI => registers.rdi,
        Register::RBP => registers.rbp,
        Register::RSP => registers.rsp,
        Register::R8 => registers.r8,
        Register::R9 => registers.r9,
        Register::R10 => registers.r10,
        Register::R11 => registers.r11,
        Register::R12 => registers.r12,
        Register::R13 => registers.r13,
        Register::R14 => registers.r14,
        Register::R15 => registers.r15,
        Register::RIP => registers.rip,
        Register::FS => registers.fs_base,
        Register::GS => registers.gs_base,
        // Flat segments. A vector as an index would be a gather, which kernels must not have.
        register if register.is_segment_register() => 0,
        register => panic!("{register:?} in an address"),
    }
}

/// Stops the child.
fn stop() {
    // SAFETY: only stops this process.
    unsafe { libc::raise(libc::SIGSTOP) };
}

fn request(request: libc::c_uint, child: pid_t, data: *mut c_void) {
    // SAFETY: the child is traced by this thread and stands still; `data` is what the request wants.
    let result = unsafe { libc::ptrace(request, child, core::ptr::null_mut::<c_void>(), data) };
    assert_eq!(result, 0, "ptrace {request}: {}", std::io::Error::last_os_error());
}

/// What the child does next: stops by this signal, or ends.
fn wait(child: pid_t) -> Option<c_int> {
    let mut status = 0;
    // SAFETY: `status` is ours.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    if libc::WIFSTOPPED(status) {
        return Some(libc::WSTOPSIG(status));
    }
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "the child ended with {status:#x}");
    None
}

/// The steps of `run`, from one stop to the next; a little of `raise` stands on both ends.
pub fn trace(run: impl FnOnce()) -> Vec<Step> {
    // SAFETY: the child computes on its copy of this thread's memory and ends, without touching what other threads hold.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: no addresses.
        unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        stop();
        run();
        stop();
        // SAFETY: ends the child without the handlers of its parent.
        unsafe { libc::_exit(0) };
    }
    assert_eq!(wait(child), Some(libc::SIGSTOP));
    let mut steps = Vec::new();
    let mut decoded = Decoded { instructions: HashMap::new(), factory: InstructionInfoFactory::new() };
    loop {
        request(libc::PTRACE_SINGLESTEP, child, core::ptr::null_mut());
        if wait(child) != Some(libc::SIGTRAP) {
            break;
        }
        let mut registers = core::mem::MaybeUninit::<user_regs_struct>::uninit();
        request(libc::PTRACE_GETREGS, child, registers.as_mut_ptr().cast());
        // SAFETY: the request has filled it, and any bits are registers.
        let registers = unsafe { registers.assume_init() };
        steps.push(Step::new(&registers, &mut decoded));
    }
    request(libc::PTRACE_CONT, child, core::ptr::null_mut());
    assert_eq!(wait(child), None);
    steps
}
