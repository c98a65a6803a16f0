# charpipe.mk: pattern rules from a text to a model and what it writes. In a Makefile of your own:
#
#     all: novel.sample novel.loss
#     include charpipe.mk
#
# and `make` turns novel.txt into novel.tokens, novel.shards, novel.model (with novel.log beside it),
# novel.sample, the text that the model writes, and novel.loss, how well it foretells the part that
# was held out. `make plot` draws the log in the terminal, `make novel.png novel.svg` into files.
#
# Options come from the recipe and from the variables below. Each file depends on the values of its
# own tool's options, so that exactly what a change concerns is made again: another seed of sample
# makes a sample, another --rows makes shards, a model and a sample. Options that shape nothing
# (threads, device, what is printed) make nothing. A training run that was interrupted goes on where
# it stopped, and ends with the same model; so does one whose --epochs or --steps grew.
#
# `make clean` removes all that was made here, but what KEEP names.

# The recipe: options by their long names, one mapping for each tool. To be set before the include,
# or on the command line.
CONFIG  ?= $(wildcard recipe.yaml)

# What stands before the programs' names where they were installed so.
PROGRAM_PREFIX ?=

# Options that win over the recipe: TOKENIZE_FLAGS, BATCHIFY_FLAGS, TRAIN_FLAGS, SAMPLE_FLAGS,
# EVALLOSS_FLAGS.
tokenize = $(call run,tokenize,$(TOKENIZE_FLAGS))
batchify = $(call run,batchify,$(BATCHIFY_FLAGS))
train    = $(call run,train,$(TRAIN_FLAGS))
sample   = $(call run,sample,$(SAMPLE_FLAGS))
evalloss = $(call run,evalloss,$(EVALLOSS_FLAGS))
run      = $(PROGRAM_PREFIX)$1$(if $(CONFIG), -c $(CONFIG))$(if $2, $2)

# A file for each tool that holds its options' values. Each recipe has its own.
options := .charpipe/$(or $(basename $(notdir $(CONFIG))),none)

%.tokens: %.txt $(options)/tokenize
	$(tokenize) -o $@ $<

%.shards: %.tokens $(options)/batchify
	$(batchify) -o $@ $<

# A run that is interrupted leaves the best model so far, which is not the one asked for.
%.model: %.shards $(options)/train $(options)/train.limits
	$(train) -l $*.log $(call checkpoint,$*.shards $(options)/train) -o $@.part $<
	@mv $@.part $@

%.sample: %.model $(options)/sample
	$(sample) -o $@ $<

%.loss: %.model %.shards $(options)/evalloss
	$(evalloss) -o $@ $*.model $*.shards

%.log: %.model ;

# A checkpoint newer than all that its run depends on is of a run like this one, which was
# interrupted. An older one is of another run, and will be replaced.
checkpoint = $(if $(shell find $*.checkpoint $(1:%=-newer %) 2>/dev/null),--resume,--checkpoint) \
	$*.checkpoint

# Looked at each time, but written only when a value has changed: what shapes the result, and, in a
# file of its own, what limits a run; --print-config tells which is which. A limit that only grew
# leaves the first file as it is, so that the run goes on; any other one is that of another run.
$(options)/%: FORCE
	@mkdir -p $(@D)
	@$($*) --print-config >$@.said
	@sed -e '/; [a-z ]*$$/d' $(no_origin) $@.said >$@.new
	@if cmp -s $@.new $@ && $(limits) $@.said | awk '$(grew)' $(wildcard $@.limits) -; \
		then rm $@.new; else mv $@.new $@; fi
$(options)/%.limits: $(options)/% FORCE
	@$(limits) $<.said >$@.new
	@$(update)
update = if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
no_origin = -e 's/ \# [a-z ]*$$//'
limits    = sed -n -e '/; limits the run$$/!d' -e 's/; limits the run$$//' $(no_origin) -e p
grew = NR == FNR { line[FNR] = $$0; name[FNR] = $$1; value[FNR] = $$2 + 0; next } \
	$$0 != line[FNR] && !($$1 == name[FNR] && value[FNR] > 0 && $$2 + 0 > value[FNR]) { exit 1 }
FORCE:
$(options)/tokenize $(options)/batchify $(options)/train $(options)/sample $(options)/evalloss:
$(options)/train.limits:

# The curves of one log in a file, or of several in the terminal, over the steps or the minutes:
# make plot LOGS='a.log b.log' OVER=minutes
LOGS = $(wildcard *.log)
OVER ?= step
plot = gnuplot -e "logs='$1'; picture='$2'; over='$(OVER)'" $(plot_gp)
plot_gp := $(dir $(lastword $(MAKEFILE_LIST)))plot.gp
.PHONY: plot
plot:
	@$(call plot,$(LOGS),-)
%.png: %.log
	$(call plot,$^,$@)
%.svg: %.log
	$(call plot,$^,$@)

KEEP ?=
made = $(basename $(wildcard *.tokens *.shards *.model *.checkpoint))
kinds = .tokens .shards .model .model.part .checkpoint .checkpoint~ .log .sample .loss
.PHONY: clean clean-charpipe
clean: clean-charpipe
clean-charpipe:
	rm -rf .charpipe $(foreach name,$(made),$(wildcard $(name).checkpoint.[0-9]*)) \
		$(filter-out $(KEEP),$(foreach name,$(sort $(made)),$(kinds:%=$(name)%)))

# What was made on the way stays; what a failed command leaves does not.
.PRECIOUS: %.tokens %.shards %.model %.log
.DELETE_ON_ERROR:
