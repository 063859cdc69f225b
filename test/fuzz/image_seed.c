/*
 * image_seed.c - the smallest image with everything in it, for image_fuzz.c: a
 * header, code, a heap, a shim and two files. Writes it to standard output.
 */
#include <elf.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "abi/guest.h"
#include "abi/image.h"

#define BASE GUEST_BASE
#define AT(offset) ((offset) - GUEST_IMAGE + GUEST_IMAGE_PA)

static struct {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[5];
    struct image_header h;
    _Alignas(4096) char code[16];
    _Alignas(4096) struct {
        struct tree_header h;
        struct tree_entry e[3];
        char names[20], data[16];
    } tree;
} image;
#define PLACE(member) offsetof(__typeof__(image), member)

static Elf64_Phdr load(uint32_t flags, uint64_t offset, uint64_t va, uint64_t bytes)
{
    return (Elf64_Phdr){
        .p_type = PT_LOAD, .p_flags = flags, .p_offset = offset, .p_vaddr = BASE + va,
        .p_paddr = AT(va), .p_filesz = bytes, .p_memsz = bytes, .p_align = 4096,
    };
}

int main(void)
{
    static const char names[20] = "/\0/one\0/two/three", text[] = "-noshell\0/one";

    image.eh = (Elf64_Ehdr){
        .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1,
        .e_entry = BASE + PLACE(code), .e_phoff = PLACE(ph),
        .e_ehsize = sizeof image.eh, .e_phentsize = sizeof *image.ph, .e_phnum = 5,
    };
    memcpy(image.eh.e_ident, ELFMAG "\2\1\1", 7);
    image.ph[0] = load(PF_R | PF_X, 0, 0, PLACE(code) + sizeof image.code);
    image.ph[1] = load(PF_R, PLACE(tree), PLACE(tree), sizeof image.tree);
    image.ph[2] = load(PF_R | PF_W, 0, GUEST_ARENA, 0);
    image.ph[2].p_paddr = 2 * GUEST_CHUNK;
    image.ph[2].p_memsz = GUEST_CHUNK;
    image.ph[3] = load(PF_R, 0, 8 * GUEST_CHUNK, 64);
    image.ph[3].p_paddr = GUEST_SHIM_PA;
    image.ph[4] = (Elf64_Phdr){
        .p_type = PT_KINDLING, .p_offset = PLACE(h), .p_filesz = sizeof image.h,
    };
    image.h = (struct image_header){
        .magic = IMAGE_MAGIC, .version = IMAGE_VERSION, .guest_version = GUEST_VERSION,
        .base = BASE, .cpu = IMAGE_CPU_BASELINE, .mem_default = 64 << 20,
        .tree = BASE + PLACE(tree), .tree_bytes = sizeof image.tree,
        .argc = 1, .inputs = 9, .text_bytes = sizeof text,
    };
    memcpy(image.h.text, text, sizeof text);
    image.tree.h = (struct tree_header){
        .magic = TREE_MAGIC, .bytes = sizeof image.tree, .entries = 3,
        .strings_bytes = sizeof names,
    };
    memcpy(image.tree.names, names, sizeof names);
    image.tree.e[0] = (struct tree_entry){.type = TREE_DIRECTORY};
    image.tree.e[1] = (struct tree_entry){
        .path = 2, .type = TREE_FILE, .bytes = 16, .stored = 16,
        .data = offsetof(__typeof__(image.tree), data),
    };
    image.tree.e[2] = image.tree.e[1];
    image.tree.e[2].path = 7;
    return fwrite(&image, sizeof image, 1, stdout) != 1;
}
