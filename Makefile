# Three commands do all: `make demo`, `make localize VIDEO=clip.mp4 LABELS="dog barking,train"` and
# `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MODEL ?= everyday
OUT ?= out
DEMO ?= tvsl-demo
SEED ?= 0
MINI := build/mini/seed-$(SEED)
POOLED := build/mini-pooled
EVERYDAY := build/everyday
SHARED ?= ../shared

.PHONY: help demo install dev localize test schema test-processes test-slow check format benchmark mini mini-card mini-pooled everyday everyday-card everyday-kinds demo-mixtures readme-picture docs gallery release-check clean

help:
	@echo 'make demo         set up and localize real mixtures and made-up scenes; a page to look at in $(DEMO)/'
	@echo 'make localize VIDEO=clip.mp4 LABELS="dog barking,train"   set up and localize; results in $(OUT)/'
	@echo 'make test         set up and run the tests'
	@echo 'make test-processes  the slow tests of several processes and of two hosts'
	@echo 'make test-slow    all tests that need minutes'
	@echo 'make check        ruff and mypy'
	@echo 'make benchmark    how fast encoders, world, metrics and preparing are on this machine'
	@echo 'make mini         rebuild the mini model from nothing: $(MINI)/bundle (35 to 45 minutes)'
	@echo 'make mini-card    measure it on the test split and write its model card'
	@echo 'make mini-pooled  rebuild the encoder of the benchmark with new classes, by pooled pairs alone: $(POOLED)/model (14 minutes)'
	@echo 'make everyday     rebuild the everyday encoder from published packages: $(EVERYDAY)/model'
	@echo 'make everyday-card   measure it on photographs, sounds and a video of $(SHARED)'
	@echo 'make everyday-kinds  what it hears, sees and confuses, kind by kind, small things and large ones'
	@echo 'make demo-mixtures   make the real mixtures of the demo again, from $(SHARED)/real'
	@echo 'make readme-picture  localize the photograph at the head of the README again'
	@echo 'make docs         the documents as a site: build/docs/site/index.html'
	@echo 'make gallery      the pictures of the documents again'
	@echo 'make release-check   build sdist and wheel, install and use them with every Python at hand'
	@echo 'make clean        remove the environment'

# constraints.txt makes pip take the CPU build of torch where one is at hand.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/.documenting: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

$(VENV)/.releasing: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[release]'
	@touch $@

install: $(VENV)/.installed

dev: $(VENV)/.developing

demo: install
	$(BIN)/tvsl demo --seed "$(SEED)" --output "$(DEMO)" --force

localize: install
	@test -n "$(VIDEO)" || { echo 'Which video? make localize VIDEO=clip.mp4 LABELS="dog barking,train"'; exit 2; }
	$(BIN)/tvsl localize "$(VIDEO)" $(if $(LABELS),--labels "$(LABELS)") --model "$(MODEL)" --output "$(OUT)" --force

# One process a core, one thread each: on small tensors that is what a core does best.
test: dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

# The JSON Schema of localization.json, of its records.
schema: dev
	$(BIN)/python -c "from tvsl.localization_format import write_schema; write_schema()"

# One after the other: the processes of each share the cores.
test-processes: dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m processes --durations 10

test-slow: dev
	$(BIN)/python -m pytest -m slow

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Any warning, dead link or resource of a network ends it.
docs: $(VENV)/.documenting
	$(BIN)/python scripts/docs.py

gallery: install
	$(BIN)/python scripts/gallery.py

release-check: $(VENV)/.releasing
	$(BIN)/python scripts/release_check.py

benchmark: dev
	$(BIN)/python benchmarks/encoders.py
	$(BIN)/python benchmarks/synthetic.py
	$(BIN)/python benchmarks/metrics.py --threads 1
	$(BIN)/python benchmarks/prepare.py --rounds 1
	$(BIN)/python benchmarks/localize.py --quick --models everyday,audioclip
	$(BIN)/python benchmarks/growth.py --quick --only "video,vocabulary,sources,maps,prepared clips,training clips"

# Made in steps, each of which is skipped where it is done; one that was interrupted goes on.
mini: $(MINI)/bundle/head/config.json

mini-card: $(MINI)/ez-vsl/head/config.json mini
	$(BIN)/python benchmarks/mini_model.py $(MINI)/bundle --ez-vsl $(MINI)/ez-vsl/head --output $(MINI)/results.json --card $(MINI)/bundle/README.md \
		--beside $(wildcard build/mini/seed-*/results.json)

$(MINI)/pretraining/model/config.json: | install
	$(BIN)/tvsl pretrain --output $(MINI)/pretraining --seed $(SEED) \
		$(if $(wildcard $(MINI)/pretraining/checkpoints/last.ckpt),--resume)

$(MINI)/training/head/config.json: $(MINI)/pretraining/model/config.json
	$(BIN)/tvsl train --data synthetic --method tvsl $(ALONE) --model $(MINI)/pretraining/model \
		--flip-average turn --seed $(SEED) --output $(MINI)/training --tokens $(MINI)/tokens \
		$(if $(wildcard $(MINI)/training/checkpoints/last.ckpt),--resume)

$(MINI)/ez-vsl/head/config.json: $(MINI)/pretraining/model/config.json
	$(BIN)/tvsl train --data synthetic --method ez-vsl --model $(MINI)/pretraining/model \
		--flip-average turn --seed $(SEED) --output $(MINI)/ez-vsl --tokens $(MINI)/tokens \
		$(if $(wildcard $(MINI)/ez-vsl/checkpoints/last.ckpt),--resume)

$(MINI)/bundle/head/config.json: $(MINI)/training/head/config.json
	rm -rf $(MINI)/bundle
	cp -r $(MINI)/pretraining/model $(MINI)/bundle
	cp -r $(MINI)/training/head $(MINI)/bundle/head

# Its tokens were taught cell by cell: the head leaves them alone.
ALONE := --hyperparameter token_projectors=identity --hyperparameter detach_detection=true \
	--hyperparameter class_negatives=false --hyperparameter class_focus=0 \
	--hyperparameter correspondence_weight=1

# The encoder of the benchmark of new classes, which learns as AudioCLIP did: by Eq. 1 on pooled pairs, no cells.
mini-pooled: $(POOLED)/model/config.json

$(POOLED)/model/config.json: | install
	$(BIN)/tvsl pretrain --output $(POOLED) --seed $(SEED) --without text_cells --without audio_cells \
		--steps 600 --batch 96 --clips 10000 $(if $(wildcard $(POOLED)/checkpoints/last.ckpt),--resume)

# Photographs and sounds in the form of ../shared/real give statistics, no labels.
everyday: install
	$(BIN)/python scripts/everyday/build.py --packages $(EVERYDAY)/packages --data "$(SHARED)/real" --output $(EVERYDAY)/model
	$(BIN)/python scripts/everyday/head.py --model $(EVERYDAY)/model --data "$(SHARED)/real"

everyday-card: install
	$(BIN)/python benchmarks/everyday_model.py everyday --media "$(SHARED)/media" --data "$(SHARED)/real" --output $(EVERYDAY)/figures.json --card src/tvsl/pretrained/everyday/README.md

everyday-kinds: install
	$(BIN)/python benchmarks/everyday_kinds.py everyday --data "$(SHARED)/real" --output $(EVERYDAY)/kinds.json

demo-mixtures: install
	$(BIN)/python scripts/demo_mixtures.py --data "$(SHARED)/real"

# scripts/readme_example.py made the photograph's and the sound's file.
readme-picture: install
	$(BIN)/tvsl localize docs/example/beach.jpg --audio docs/example/beach.ogg --labels "man speaking,sea waves" --outputs sheet --output build/example --force
	cp build/example/contact_sheet.jpg docs/example/found.jpg

clean:
	rm -rf $(VENV)
