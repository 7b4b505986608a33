//! temporary
#[macro_export]
macro_rules! mem_symbols { () => { ::core::arch::global_asm!(
".section .text.mem,\"ax\"",
".globl memcpy","memcpy: mov rax, rdi","mov rcx, rdx","rep movsb","ret",
".globl memmove","memmove: mov rax, rdi","cmp rdi, rsi","jbe memcpy","mov rcx,rdx","std","lea rdi,[rdi+rdx-1]","lea rsi,[rsi+rdx-1]","rep movsb","cld","ret",
".globl memset","memset: mov r8, rdi","mov eax, esi","mov rcx, rdx","rep stosb","mov rax, r8","ret",
".globl memcmp",".globl bcmp","memcmp: bcmp: xor eax,eax","mov rcx,rdx","test rcx,rcx","jz 2f","repe cmpsb","je 2f","movzx eax, byte ptr [rdi-1]","movzx ecx, byte ptr [rsi-1]","sub eax,ecx","neg eax","2: ret",
".globl strlen","strlen: mov rax,rdi","2: cmp byte ptr [rax],0","je 3f","inc rax","jmp 2b","3: sub rax,rdi","ret",
); } }
