#!/usr/bin/env python3
"""Make OTP's test suites ready to run: build/otp/{emulator,stdlib,...}_test.

usage: prepare.py OTPSRC OUT

The directories are called emulator_test and so on because one called plainly
stdlib on the code path hides that application from code:lib_dir/1. What
cannot be compiled is left out (code_a_test.erl does not compile, by design);
a suite without its helper counts as failed on stock OTP too.
"""
import concurrent.futures, glob, os, re, shutil, subprocess, sys

APPS = {"emulator": "erts/emulator", "stdlib": "lib/stdlib",
        "kernel": "lib/kernel", "compiler": "lib/compiler"}

# The variants that OTP's Makefiles derive from a suite, by options.
NO_SSA = ("+no_bool_opt +no_share_opt +no_bsm_opt +no_fun_opt +no_ssa_opt "
          "+no_recv_opt ")
VARIANTS = {
    ("compiler", "no_opt"): "+no_copt +no_postopt " + NO_SSA,
    ("compiler", "no_ssa_opt"): NO_SSA,
    ("compiler", "post_opt"): "+no_copt " + NO_SSA,
    ("compiler", "no_copt"): "+no_copt",
    ("compiler", "inline"): "+inline",
    ("compiler", "r23"): "+r23",
    ("compiler", "r24"): "+r24",
    ("compiler", "no_module_opt"): "+no_module_opt",
    ("compiler", "no_type_opt"): "+no_type_opt",
    ("emulator", "no_opt"): "+no_copt +no_postopt +no_ssa_opt +no_bsm_opt",
}

SHLIB_RULES = """
.SUFFIXES:
.SUFFIXES: .so .o .c
.c.so:
	$(CC) -c -fPIC -O2 $(SHLIB_EXTRA_CFLAGS) -I@erl_include@ $<
	$(CC) -shared $(SHLIB_EXTRA_LDFLAGS) -o $@ $*.o $(SHLIB_EXTRA_LDLIBS)
"""


def variants(app, src):
    """Write the derived suites that the Makefile of `app` names."""
    made = {}
    with open(os.path.join(src, "Makefile")) as f:
        text = f.read().replace("\\\n", " ")
    for (a, v), options in VARIANTS.items():
        if a != app:
            continue
        name = {"no_opt": "NO_OPT", "inline": "INLINE", "r23": "R23",
                "r24": "R24"}.get(v, "NO_OPT")
        m = re.search(r"^%s\s*=(.*)$" % name, text, re.M)
        for base in m.group(1).split():
            old, new = base + "_SUITE", "%s_%s_SUITE" % (base, v)
            path = os.path.join(src, old + ".erl")
            if not os.path.exists(path):
                continue
            with open(path, "rb") as f:
                code = f.read()
            with open(os.path.join(src, new + ".erl"), "wb") as f:
                f.write(code.replace(b"-module(%s)" % old.encode(),
                                     b"-module(%s)" % new.encode()))
            made[new] = options
    return made


def helpers(data, include):
    """The C programs and libraries of one *_SUITE_data, as far as they build."""
    src = os.path.join(data, "Makefile.src")
    if not os.path.exists(src):
        return
    with open(src) as f:
        text = f.read()
    text = text.replace("@SHLIB_RULES@", SHLIB_RULES)
    for k, v in {"CC": "gcc", "LD": "gcc", "CFLAGS": "-O2 -fPIC -w", "DEFS": "",
                 "erl_include": include, "CROSSLDFLAGS": "", "LIBS": "-lm",
                 "exe": "", "obj": ".o", "dll": ".so", "EMULATOR": "beam",
                 "erl_name": "erlc", "emu_threads": "true", "DS": "/"}.items():
        text = text.replace("@%s@" % k, v)
    text = re.sub(r"@\w+@", "", text).replace("erlc -compile", "erlc")
    with open(os.path.join(data, "Makefile"), "w") as f:
        f.write(text)
    subprocess.run(["make", "-k", "-C", data], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def main():
    otp, out = sys.argv[1], os.path.abspath(sys.argv[2])
    include = os.path.abspath(os.path.join(otp, "erts/emulator/beam"))
    jobs = []
    for app, d in APPS.items():
        dst = os.path.join(out, app + "_test")
        shutil.rmtree(dst, ignore_errors=True)
        shutil.copytree(os.path.join(otp, d, "test"), dst, symlinks=True)
        special = variants(app, dst)
        plain = []
        for f in sorted(glob.glob(dst + "/*.erl")):
            name = os.path.basename(f)[:-4]
            if name in special:
                jobs.append((dst, special[name].split(), [name + ".erl"]))
            else:
                plain.append(name + ".erl")
        jobs += [(dst, [], plain[i:i + 12]) for i in range(0, len(plain), 12)]
        for f in sorted(glob.glob(dst + "/*.core")):
            jobs.append((dst, ["+from_core"], [os.path.basename(f)]))

    def compile_some(job):
        dst, options, files = job
        cmd = ["erlc", "-W0", "+debug_info", "+nowarn_deprecated_function"] + options
        if subprocess.run(cmd + files, cwd=dst, stdout=subprocess.DEVNULL).returncode:
            for f in files:
                if not os.path.exists(os.path.join(dst, f[:f.rindex(".")] + ".beam")):
                    r = subprocess.run(cmd + [f], cwd=dst, stdout=subprocess.PIPE, text=True)
                    if r.returncode:
                        print("left out:", f, r.stdout.strip().splitlines()[:1])

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_some, jobs))
        list(pool.map(lambda d: helpers(d, include),
                      sorted(glob.glob(out + "/*_test/*_SUITE_data"))))


if __name__ == "__main__":
    main()
