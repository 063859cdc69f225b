/*
 * matchspec_op.h - the code of match specifications.
 *
 * A program is a run of words: an operation, its operands, the next one. A
 * head takes terms from a stack, on which the subject is put first; what takes
 * a tuple apart puts its elements there, the first on top, so the order of the
 * code is that of a walk from left to right. Guards and bodies are postfix on
 * the same stack.
 */
#ifndef VM_MATCHSPEC_OP_H
#define VM_MATCHSPEC_OP_H

#include "vm/matchspec.h"

enum op {
    /* Heads: take the top of the stack. */
    H_ANY,
    H_BIND,         /* variable */
    H_SAME,         /* variable: equal to what it is bound to */
    H_IMM,          /* immediate */
    H_EQ,           /* term */
    H_TUPLE,        /* arity */
    H_CONS,
    H_MAP,          /* n, keys: leaves their values */
    /* Expressions. */
    X_CONST,        /* term */
    X_VAR,          /* variable */
    X_WHOLE,        /* '$_' */
    X_BINDINGS,     /* n, variables: '$$' */
    X_CONS,
    X_TUPLE,        /* n */
    X_MAP,          /* n pairs */
    X_NATIVE,       /* enum native, arity */
    X_CALL,         /* guard BIF, arity */
    X_AND,          /* n */
    X_OR,           /* n */
    X_ANDALSO,      /* where to go */
    X_ORELSE,       /* where to go */
    X_JUMP,         /* where to go */
    X_SELF,
    X_MESSAGE,
    X_FLAG,         /* bits to set; pushes true */
    X_DISPLAY,
    X_ACTION,       /* arity, enum ms_action */
    /* Between expressions. */
    X_BODY,         /* from here on failures give 'EXIT' */
    X_CHECK,        /* a guard: go on if it is true */
    X_DROP,
    X_RETURN,       /* the value of the clause */
    X_HALT,         /* trace: a body is through */
};

/* Functions that neither allocate nor need the process. */
enum native {
    N_IS_ATOM, N_IS_FLOAT, N_IS_INTEGER, N_IS_LIST, N_IS_NUMBER, N_IS_PID,
    N_IS_PORT, N_IS_REFERENCE, N_IS_TUPLE, N_IS_MAP, N_IS_BINARY,
    N_IS_FUNCTION, N_IS_RECORD, N_ELEMENT, N_HD, N_TL, N_NOT, N_XOR,
    N_GT, N_GE, N_LT, N_LE, N_EQ, N_EXACT_EQ, N_NE, N_EXACT_NE,
    N_GUARD,        /* not native: the guard BIF of the same name */
};

/*
 * What matchspec_key.c has for the compiler. Digits of '$N': how many; 0 if t
 * is no variable. *digits: the first.
 */
size_t ms_variable_digits(term t, const uint8_t **digits);
/* Push what a term is made of, the first part on top. False: it is a leaf. */
struct wstack;
bool ms_push_parts(struct wstack *s, term t);

#endif
