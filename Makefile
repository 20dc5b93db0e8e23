# Every command people type. `make help` explains; variables are given on the command line: make linear CHECKPOINT=x.pth

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON ?= python3
RUNS ?= runs
RECORDS ?= $(RUNS)/records
RECIPE ?= paper
GPUS ?= 1
ARGS ?=
FORMAT ?= terminal

# A variable that no recipe reads is a typing error: better refused than ignored.
VARIABLES := CHECKPOINT IMAGENET PLACES205 INAT18 VOC COCO GPUS RECIPE RUNS RECORDS SEEDS FORMAT ARGS PYTHON VENV PY READY
GIVEN := $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
ifneq ($(filter-out $(VARIABLES),$(GIVEN)),)
$(error error: no such variable: $(filter-out $(VARIABLES),$(GIVEN)); `make help` lists them)
endif

# An active conda environment that satisfies environment.yml is used as it is; otherwise .venv is built and used.
VENV := .venv
ifneq ($(CONDA_PREFIX),)
ifeq ($(shell $(CONDA_PREFIX)/bin/python -m environment.satisfied 2>/dev/null | tail -n 1),satisfied)
PY := $(CONDA_PREFIX)/bin/python
READY := $(CONDA_PREFIX)/.vicreg-reproduction-ready
endif
endif
PY ?= $(VENV)/bin/python
READY ?= $(VENV)/.ready

LAUNCH = $(if $(filter-out 1,$(GPUS)),$(PY) -m pretrain.torchrun --nproc-per-node $(GPUS) -m,$(PY) -m)
EVALUATE = $(LAUNCH) evaluate
TRANSFER = $(PY) -m transfer
CHECKPOINT_FLAGS = --run.checkpoint '$(CHECKPOINT)' --run.records '$(RECORDS)'

# A target that needs a variable names it as a prerequisite before anything is built: `linear: need-CHECKPOINT need-IMAGENET`.
EXAMPLE_CHECKPOINT := resnet50.pth
EXAMPLE_IMAGENET := /data/imagenet
EXAMPLE_PLACES205 := /data/places205
EXAMPLE_INAT18 := /data/inat18
EXAMPLE_VOC := /data/VOCdevkit
EXAMPLE_COCO := /data/coco
need-%:
	@test -n "$($*)" || { echo "error: $* is not set; run: make $(MAKECMDGOALS) $(if $(CHECKPOINT),CHECKPOINT=$(CHECKPOINT) )$*=$(EXAMPLE_$*)" >&2; exit 2; }

.PHONY: help setup engines table lock demo demo-ablations demo-detection demo-detection-pretrained demo-detection-random smoke test test-all lint format file-map pretrain linear semi knn transfer-places205 \
	transfer-inat18 transfer-voc07 transfer-voc0712 transfer-coco transfer reproduce compare report doctor plan bench bench-check clean-demo

help: ## show this list
	@echo "VICReg reproduction suite. Without data or GPU: make demo. With a checkpoint: make reproduce CHECKPOINT=resnet50.pth"
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "%-22s %s\n", $$1, $$2}'
	@echo
	@echo "variables: CHECKPOINT, IMAGENET, PLACES205, INAT18, VOC, COCO (data roots), GPUS, RECIPE, RUNS, RECORDS, ARGS (passed on)"

setup: $(READY) ## build .venv (or complete the active conda environment) and show what is in it; every other target does this first
	@echo "environment ready: $(PY)"

$(VENV)/.ready: requirements-lock.txt environment/bootstrap.py environment/engines.py environment/table.py
	@$(PYTHON) environment/bootstrap.py $(VENV)
	@touch $@

%/.vicreg-reproduction-ready: environment/engines.py
	@$(PY) -m environment.engines
	@$(PY) -m environment.table
	@touch $@

engines: $(READY) ## unpack VISSL and Detectron2 into the environment if they are not there
	@$(PY) -m environment.engines

table: $(READY) ## package, version, imported or why not
	@$(PY) -m environment.table

lock: $(READY) ## resolve requirements.txt into requirements-lock.txt (needs uv: pip install uv)
	@uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
		-o requirements-lock.txt requirements.txt

demo: $(READY) ## the whole pipeline on real images without data or GPU, about 10 minutes on two cores
	@$(PY) -m data digits --root '$(RUNS)/demo/digits'
	@$(PY) -m pretrain demo --run.data '$(RUNS)/demo/digits/imagenet' --run.output '$(RUNS)/demo/pretrain'
	@$(PY) -m results reproduce --scale demo --checkpoint '$(RUNS)/demo/pretrain/resnet50.pth' --root '$(RUNS)/demo'
	@$(PY) -m results report --records '$(RUNS)/demo/records' --runs '$(RUNS)/demo' --output '$(RUNS)/demo/report.html'
	@$(PY) -m results compare --records '$(RUNS)/demo/records'

SEEDS ?= 0 1
demo-ablations: $(READY) ## Table 4a and the BYOL and SimSiam rows of Table 3 on the digits, about half an hour on two cores [SEEDS="0 1"]
	@$(PY) -m data digits --root '$(RUNS)/demo-ablations/digits'
	@$(MAKE) --no-print-directory --jobs 2 $(addprefix demo-ablations-seed-,$(SEEDS))
	@$(PY) -m results report --records '$(RUNS)/demo-ablations/records' --runs '$(RUNS)/demo-ablations' --output '$(RUNS)/demo-ablations/report.html'
	@$(PY) -m results claims --records '$(RUNS)/demo-ablations/records' --runs '$(RUNS)/demo-ablations'

# One core for each of two seeds is faster than two cores for one.
demo-ablations-seed-%:
	@OMP_NUM_THREADS=1 $(PY) -m pretrain sweep demo-ablations --sweep.data '$(RUNS)/demo-ablations/digits/imagenet' \
		--sweep.root '$(RUNS)/demo-ablations' --sweep.seeds $* --sweep.no-keep-states --sweep.probe-args="--protocol.epochs 2 --run.workers 0" \
		--sweep.pretrain-args="--run.workers 0 --run.threads 1 --run.log-every-steps 2 --run.checkpoint-every-epochs 2 --run.knn-every-epochs 2 --run.no-tensorboard"


smoke: $(READY) ## the demo's path with fewer epochs; with IMAGENET=, COCO=, ... on a small subset of your own data sets
	@$(PY) -m data digits --root '$(RUNS)/smoke/digits'
	@$(PY) -m pretrain demo --run.data '$(or $(IMAGENET),$(RUNS)/smoke/digits/imagenet)' --run.output '$(RUNS)/smoke/pretrain' \
		--run.limit 320 --recipe.epochs 2
	@$(PY) -m results reproduce --scale smoke --checkpoint '$(RUNS)/smoke/pretrain/resnet50.pth' --root '$(RUNS)/smoke' $(DATA_ROOTS)
	@$(PY) -m results report --records '$(RUNS)/smoke/records' --runs '$(RUNS)/smoke' --output '$(RUNS)/smoke/report.html'
	@$(PY) -m results compare --records '$(RUNS)/smoke/records'

test: $(READY) ## every test that is not marked slow, on every core
	@$(PY) -m pytest -n auto $(ARGS)

test-all: $(READY) ## the slow tests too
	@$(PY) -m pytest -n auto -m "not gpu" $(ARGS)

lint: $(READY) ## ruff and mypy (strict)
	@$(PY) -m ruff check --no-cache .
	@$(PY) -m ruff format --no-cache --check .
	@$(PY) -m mypy

format: $(READY) ## let ruff format and mend what it can
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

file-map: $(READY) ## rewrite the README's file map from the modules' first sentences
	@$(PY) -m environment.file_map

pretrain: need-IMAGENET $(READY) ## pretrain: IMAGENET=/data/imagenet [RECIPE=paper|official|...] [GPUS=8] [ARGS='--run.output ...']
	@$(LAUNCH) pretrain $(RECIPE) --run.data '$(IMAGENET)' $(ARGS)

linear: need-CHECKPOINT need-IMAGENET $(READY) ## Table 1, linear: CHECKPOINT=resnet50.pth IMAGENET=/data/imagenet [GPUS=8]
	@$(EVALUATE) linear $(CHECKPOINT_FLAGS) --run.data '$(IMAGENET)' $(ARGS)

semi: need-CHECKPOINT need-IMAGENET $(READY) ## Table 1, 1 % and 10 % of the labels: CHECKPOINT= IMAGENET= [GPUS=8]
	@$(EVALUATE) semi-1pct $(CHECKPOINT_FLAGS) --run.data '$(IMAGENET)' $(ARGS)
	@$(EVALUATE) semi-10pct $(CHECKPOINT_FLAGS) --run.data '$(IMAGENET)' $(ARGS)

knn: need-CHECKPOINT need-IMAGENET $(READY) ## Table 5, 20- and 200-NN: CHECKPOINT= IMAGENET=
	@$(EVALUATE) knn $(CHECKPOINT_FLAGS) --run.data '$(IMAGENET)' $(ARGS)

transfer-places205: need-CHECKPOINT need-PLACES205 $(READY) ## Table 2: CHECKPOINT= PLACES205=/data/places205
	@$(TRANSFER) places205 $(CHECKPOINT_FLAGS) --run.data '$(PLACES205)' --run.gpus $(GPUS) $(ARGS)

transfer-inat18: need-CHECKPOINT need-INAT18 $(READY) ## Table 2: CHECKPOINT= INAT18=/data/inat18
	@$(TRANSFER) inat18 $(CHECKPOINT_FLAGS) --run.data '$(INAT18)' --run.gpus $(GPUS) $(ARGS)

transfer-voc07: need-CHECKPOINT need-VOC $(READY) ## Table 2, SVM: CHECKPOINT= VOC=/data/VOCdevkit
	@$(TRANSFER) voc07 $(CHECKPOINT_FLAGS) --run.data '$(VOC)' $(ARGS)

transfer-voc0712: need-CHECKPOINT need-VOC $(READY) ## Table 2, Faster R-CNN C4: CHECKPOINT= VOC=/data/VOCdevkit [GPUS=8]
	@$(TRANSFER) voc0712 $(CHECKPOINT_FLAGS) --run.data '$(VOC)' --run.gpus $(GPUS) $(ARGS)

transfer-coco: need-CHECKPOINT need-COCO $(READY) ## Table 2, Mask R-CNN FPN: CHECKPOINT= COCO=/data/coco [GPUS=8]
	@$(TRANSFER) coco $(CHECKPOINT_FLAGS) --run.data '$(COCO)' --run.gpus $(GPUS) $(ARGS)

transfer: transfer-places205 transfer-inat18 transfer-voc07 transfer-voc0712 transfer-coco ## all of Table 2

DATA_ROOTS = $(if $(IMAGENET),--imagenet '$(IMAGENET)') $(if $(PLACES205),--places205 '$(PLACES205)') \
	$(if $(INAT18),--inat18 '$(INAT18)') $(if $(VOC),--voc '$(VOC)') $(if $(COCO),--coco '$(COCO)')
reproduce: need-CHECKPOINT $(READY) ## every cell for CHECKPOINT= that the given data roots allow; what is done is not done again [GPUS=8]
	@$(PY) -m results reproduce --scale paper --checkpoint '$(CHECKPOINT)' --root '$(RUNS)' --gpus $(GPUS) $(DATA_ROOTS) $(ARGS)

compare: $(READY) ## the difference from the paper, cell by cell [FORMAT=terminal|markdown|csv|latex|json]
	@$(PY) -m results compare --records '$(RECORDS)' --format $(FORMAT) $(ARGS)

report: $(READY) ## one self-contained HTML file: report.html
	@$(PY) -m results report --records '$(RECORDS)' --runs '$(RUNS)' --output report.html $(ARGS)

doctor: $(READY) ## data sets, checkpoint, environment, disk and memory, before a long run
	@$(PY) -m results doctor $(if $(CHECKPOINT),--checkpoint '$(CHECKPOINT)') $(DATA_ROOTS) $(ARGS)

plan: $(READY) ## hours, GPU-hours, disk and memory of what is not measured yet, cheapest first
	@$(PY) -m results plan --records '$(RECORDS)' $(ARGS)

bench: $(READY) ## this suite against a textbook baseline, side by side
	@$(PY) -m benchmarks $(ARGS)

bench-check: $(READY) ## measure again and compare the ratios, not the seconds, with the committed ones
	@$(PY) -m benchmarks --check $(ARGS)

demo-detection: $(READY) ## Mask R-CNN trained for 600 iterations on the digits, pretrained against random init (after `make demo`; under half an hour)
	@$(MAKE) --no-print-directory --jobs 2 demo-detection-pretrained demo-detection-random
	@$(PY) -m results report --records '$(RUNS)/demo/records' --runs '$(RUNS)/demo' --output '$(RUNS)/demo/report.html'

# One core for each of two runs is faster than two cores for one.
demo-detection-pretrained: DETECTION_CHECKPOINT = $(RUNS)/demo/pretrain/resnet50.pth
demo-detection-random: DETECTION_CHECKPOINT = random-init
demo-detection-pretrained demo-detection-random:
	@OMP_NUM_THREADS=1 $(PY) -m transfer coco-demo-long --run.checkpoint '$(DETECTION_CHECKPOINT)' --run.data '$(RUNS)/demo/digits/coco' \
		--run.output '$(RUNS)/demo/transfer' --run.records '$(RUNS)/demo/records' --run.workers 0 $(ARGS)

clean-demo: ## remove what the demo and the smoke run wrote
	rm -rf '$(RUNS)/demo' '$(RUNS)/demo-ablations' '$(RUNS)/smoke'
