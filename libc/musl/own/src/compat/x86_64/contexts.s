/* getcontext, setcontext and swapcontext: where a function goes on, by registers and mask of signals.
 * Offsets are those of `ucontext_t`, Linux's struct: x87's control word and mxcsr are kept as fxsave has
 * them. A context comes back with 0. */

.set LINK, 8
.set R8, 40
.set R9, 48
.set R12, 72
.set R13, 80
.set R14, 88
.set R15, 96
.set RDI, 104
.set RSI, 112
.set RBP, 120
.set RBX, 128
.set RDX, 136
.set RCX, 152
.set RSP, 160
.set RIP, 168
.set FPREGS, 224
.set MASK, 296
.set FPMEM, 424
.set MXCSR, 24

.set SIG_BLOCK, 0
.set SIG_SETMASK, 2

/* Where the caller of the function goes on, into the context in rdi. */
.macro keep
	mov %rbx, RBX(%rdi)
	mov %rbp, RBP(%rdi)
	mov %r12, R12(%rdi)
	mov %r13, R13(%rdi)
	mov %r14, R14(%rdi)
	mov %r15, R15(%rdi)
	mov (%rsp), %rax
	mov %rax, RIP(%rdi)
	lea 8(%rsp), %rax
	mov %rax, RSP(%rdi)
	lea FPMEM(%rdi), %rax
	mov %rax, FPREGS(%rdi)
	fnstcw (%rax)
	stmxcsr MXCSR(%rax)
.endm

.section .text.getcontext, "ax", @progbits
.global getcontext
.type getcontext, @function
getcontext:
	keep
	lea MASK(%rdi), %rdx
	xor %esi, %esi
	mov $SIG_BLOCK, %edi
	jmp sigprocmask
.size getcontext, . - getcontext

.section .text.setcontext, "ax", @progbits
.global setcontext
.type setcontext, @function
setcontext:
	push %rdi
	lea MASK(%rdi), %rsi
	xor %edx, %edx
	jmp 1f
.size setcontext, . - setcontext

.global swapcontext
.type swapcontext, @function
swapcontext:
	keep
	push %rsi
	lea MASK(%rdi), %rdx
	lea MASK(%rsi), %rsi
1:
	mov $SIG_SETMASK, %edi
	call sigprocmask
	pop %rdx
	test %eax, %eax
	jnz 3f
	mov FPREGS(%rdx), %rcx
	test %rcx, %rcx
	jz 2f
	fldcw (%rcx)
	ldmxcsr MXCSR(%rcx)
2:
	mov RBX(%rdx), %rbx
	mov RBP(%rdx), %rbp
	mov R12(%rdx), %r12
	mov R13(%rdx), %r13
	mov R14(%rdx), %r14
	mov R15(%rdx), %r15
	mov RSP(%rdx), %rsp
	push RIP(%rdx)
	/* The arguments of makecontext. */
	mov RDI(%rdx), %rdi
	mov RSI(%rdx), %rsi
	mov RCX(%rdx), %rcx
	mov R8(%rdx), %r8
	mov R9(%rdx), %r9
	mov RDX(%rdx), %rdx
	xor %eax, %eax
3:
	ret
.size swapcontext, . - swapcontext

/* The function of makecontext has returned: rbx is where its context is that comes next. */
.section .text.__uk_context_end, "ax", @progbits
.hidden __uk_context_end
.global __uk_context_end
.type __uk_context_end, @function
__uk_context_end:
	mov %rbx, %rsp
	mov (%rsp), %rdi
	test %rdi, %rdi
	jz 4f
	call setcontext
4:
	xor %edi, %edi
	call exit
	hlt
.size __uk_context_end, . - __uk_context_end

.section .note.GNU-stack, "", @progbits
