# Installation. One list says what goes where; install copies it, uninstall removes it.
#
#     make install DESTDIR=/tmp/tree PREFIX=/usr PROGRAM_PREFIX=charpipe-
#
# With a PROGRAM_PREFIX the programs, their man pages and their completions are called by it, and the
# programs call themselves as they are called. What is installed finds the rest by its own place, so
# that a tree can be moved.

PROGRAM_PREFIX =
prefixed       = $(PROGRAM_PREFIX)$1
staged         = $(B)/install/$(or $(PROGRAM_PREFIX:%-=%),plain)

# Below $(DESTDIR)$(PREFIX): TARGET=SOURCE
installed = \
	$(foreach t,$(TOOLS),bin/$(call prefixed,$t)=$(bin)/$t \
		share/man/man1/$(call prefixed,$t).1=$(staged)/$t.1 \
		share/bash-completion/completions/$(call prefixed,$t)=$(staged)/$t.bash \
		share/zsh/site-functions/_$(call prefixed,$t)=$(staged)/$t.zsh) \
	$(foreach f,$(format_pages),share/man/man5/charpipe-$f.5=$(B)/man/charpipe-$f.5) \
	$(foreach p,$(door_pages),share/man/man3/$p.3=$(staged)/$p.3) \
	share/man/man7/charpipe.7=$(staged)/charpipe.7 \
	share/charpipe/charpipe.mk=$(staged)/charpipe.mk \
	share/charpipe/plot.gp=examples/plot.gp \
	$(foreach r,$(wildcard examples/recipes/*.yaml),share/charpipe/recipes/$(notdir $r)=$r) \
	share/charpipe/magic=mk/magic \
	include/charpipe.mk=mk/include.mk \
	include/charpipe.h=lib/door/charpipe.h \
	$(foreach l,$(built_libraries),lib/$(notdir $l)=$l) \
	lib/pkgconfig/charpipe.pc=$(B)/install/charpipe.pc \
	$(foreach p,$(plugin) $(mpi_plugin),$(if $(wildcard $p),lib/charpipe/$(notdir $p)=$p))

# LINK=TARGET
links = lib/$(so_name)=libcharpipe.so.$(VERSION) lib/libcharpipe.so=$(so_name)

target = $(DESTDIR)$(PREFIX)/$(firstword $(subst =, ,$1))
source = $(lastword $(subst =, ,$1))
mode   = $(if $(filter bin/%,$1),755,644)
# The folders that are charpipe's alone.
own_folders = share/charpipe/recipes share/charpipe lib/charpipe

define install_one
	@install -D -m $(call mode,$1) $(call source,$1) '$(call target,$1)'

endef
define link_one
	@ln -sf $(call source,$1) '$(call target,$1)'

endef
define remove_one
	@rm -f '$(call target,$1)'

endef

.PHONY: install uninstall deb
install: ## programs, man pages, completions, library: below $(DESTDIR)$(PREFIX)
install: $(foreach i,$(installed),$(call source,$i))
	$(foreach i,$(installed),$(call install_one,$i))
	$(foreach i,$(links),$(call link_one,$i))

uninstall: ## removes what install has put there
	$(foreach i,$(installed) $(links) $(addprefix lib/charpipe/,$(notdir $(plugin) $(mpi_plugin))),$(call remove_one,$i))
	@cd '$(DESTDIR)$(PREFIX)' 2>/dev/null && rmdir $(own_folders) 2>/dev/null || true

deb: ## a Debian package, into build/
deb: all
	@mk/deb '$(MAKE) bin=$(bin)' '$(B)' '$(VERSION)' '$(PROGRAM_PREFIX)'

# --- what is made for it ----------------------------------------------------------------------

# Programs are called in man pages by their installed names.
words  = \($(subst $(space),\|,$(TOOLS))\)
space := $(subst ,, )
rename = $(if $(PROGRAM_PREFIX),sed \
	-e 's/^\(\.\(BR\|B\|RB\) "\{0,1\}\)$(words)\>/\1$(PROGRAM_PREFIX)\3/' \
	-e 's/^$(words) \\-/$(PROGRAM_PREFIX)&/' \
	-e 's/\(^\$$ \|| \)$(words)\>/\1$(PROGRAM_PREFIX)\2/g',cat)
$(staged)/%: $(B)/man/%
	@mkdir -p $(@D) && $(rename) $< >$@
$(staged)/charpipe.mk: examples/charpipe.mk
	@mkdir -p $(@D) && sed 's/^PROGRAM_PREFIX ?=$$/& $(PROGRAM_PREFIX)/' $< >$@

$(staged)/%.bash $(staged)/%.zsh: $(bin)/% mk/completion.awk
	@mkdir -p $(@D) && $(EMULATOR) $< --options-as tsv >$(staged)/$*.tsv
	@for shell in bash zsh; do \
		awk -v name=$(PROGRAM_PREFIX)$* -v shell=$$shell -f mk/completion.awk \
			$(staged)/$*.tsv >$(staged)/$*.$$shell || exit 1; done

$(B)/install/charpipe.pc: mk/charpipe.pc Makefile
	@mkdir -p $(@D) && sed -e 's/@VERSION@/$(VERSION)/' -e 's/@LIBS@/$(LIBS)/' $< >$@
