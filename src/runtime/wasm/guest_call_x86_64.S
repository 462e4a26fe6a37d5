/* In and out of a module on its own stack; see guest_call.h. Offsets are those of struct GuestContext. */
        .text

/* uint32_t netserv_guest_enter(GuestContext* rdi, function rsi, void* instance rdx, uint32_t argument ecx)
   Returns 0 if the function returned, 1 if the call was left. */
        .globl  netserv_guest_enter
        .hidden netserv_guest_enter
        .type   netserv_guest_enter, @function
        .p2align 4
netserv_guest_enter:
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        subq    $8, %rsp
        movq    %rsp, 0(%rdi)
        movq    %rdi, %rbx
        movq    %rsi, %rax
        movq    8(%rdi), %rsp
        movq    %rdx, %rdi
        movl    %ecx, %esi
        movl    $1, 16(%rbx)
        call    *%rax
        movl    $0, 16(%rbx)
        movl    %eax, 20(%rbx)
        movq    0(%rbx), %rsp
        xorl    %eax, %eax
.Lout:
        addq    $8, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        ret
        .size   netserv_guest_enter, .-netserv_guest_enter

/* void netserv_guest_leave(GuestContext* rdi), noreturn: ends the netserv_guest_enter that runs. */
        .globl  netserv_guest_leave
        .hidden netserv_guest_leave
        .type   netserv_guest_leave, @function
        .p2align 4
netserv_guest_leave:
        movl    $0, 16(%rdi)
        movq    0(%rdi), %rsp
        cld
        movl    $1, %eax
        jmp     .Lout
        .size   netserv_guest_leave, .-netserv_guest_leave

        .section .note.GNU-stack,"",@progbits
