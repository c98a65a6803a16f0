# 64-bit ARM on other machines: compiled by Debian's cross compiler with libraries from Debian's
# packages for ARM (tests/arm/root.sh), and run by qemu.

arm_cc    = aarch64-linux-gnu-gcc
arm_root  = $(abspath $(B))/arm/root
arm_lib   = $(arm_root)/usr/lib/aarch64-linux-gnu
arm_qemu  = qemu-aarch64 -L $(arm_root) -U OPENBLAS_CORETYPE
arm_pkg_config = PKG_CONFIG_LIBDIR=$(arm_lib)/pkgconfig PKG_CONFIG_SYSROOT_DIR=$(arm_root) pkg-config
arm_make  = $(MAKE) --no-print-directory CC=$(arm_cc) PKG_CONFIG='$(arm_pkg_config)' \
            EMULATOR='$(arm_qemu)' B=$(B)/arm bin=$(B)/arm/bin
# Scripts with the names of the programs, which they start.
arm_tools = $(TOOLS:%=$(B)/arm/run/%)
arm_tests = tests/tools/resume.t tests/tools/pipeline.t tests/tools/kernels.t \
            $(unit_tests:%=$(B)/arm/run/test_%)
arm_needs = $(strip $(if $(shell command -v $(arm_cc)),,gcc-aarch64-linux-gnu) \
                    $(if $(wildcard /usr/aarch64-linux-gnu/include),,libc6-dev-arm64-cross) \
                    $(if $(shell command -v qemu-aarch64),,qemu-user))

.PHONY: arm check-arm arm-objects
arm: ## the programs for 64-bit ARM, into build/arm/bin/, on another machine
arm:
	@tests/arm/root.sh $(arm_root)
	+@$(arm_make) arm-objects

check-arm: ## under qemu: the unit tests, the pipe, resuming; that ARM's bits are this machine's
ifneq ($(filter aarch64-% arm64-%,$(machine)),)
check-arm:
	@echo "check-arm: SKIPPED: this machine is one: make check" >&2
else ifneq ($(arm_needs),)
check-arm:
	@echo "check-arm: SKIPPED: no $(arm_needs) here: ./bootstrap installs what Debian has" >&2
else
check-arm: all
	@if tests/arm/root.sh $(arm_root); then $(arm_make) arm-objects && \
	$(MAKE) --no-print-directory check-arm-built; \
	else echo "check-arm: SKIPPED: Debian's libraries for ARM can't be had here" >&2; fi
endif

arm-objects: all $(unit_programs)

.PHONY: check-arm-built
check-arm-built: $(arm_tools) $(arm_tests)
	@$(test_env) BIN='$(abspath $(B)/arm/run)' HOST_BIN='$(abspath $(bin))' \
		$(PROVE) -e '' $(arm_tests)

$(B)/arm/run/%:
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec $(arm_qemu) %s "$$@"\n' '$(abspath $(firstword \
		$(wildcard $(B)/arm/bin/$(@F) $(B)/arm/tests/unit/$(@F))))' >$@ && chmod +x $@
