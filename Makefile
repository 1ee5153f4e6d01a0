# Set up and run on a machine without ROS: Debian or Ubuntu, Python 3.10 to 3.14, a C++ compiler.
#   make demo         the whole way, from a bag to answers and a report
#   make demo-nav     a simulated robot that follows EPISODES=10 instructions; a report with SR and SPL
#   make test         the tests
#   make docs         the documentation as a site, into build/docs
#   make test-lowest  the fast tests with the lowest versions that setup.py allows, on Python 3.10 to 3.12
#   make eval-test    lmms-eval with our model and tasks, and the metrics (Java)
# Each sets up what it needs in .venv (the last two in .venv-lowest and .venv-eval), once.

# whether an interpreter is of Python 3.10 to 3.$(1)
SUITS = -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, $(1)))'
CHOOSE = $(shell for p in $(2) python3; do $$p $(SUITS) 2>/dev/null && echo $$p && break; done)
PYTHON ?= $(call CHOOSE,14,python3.12 python3.13 python3.14 python3.11 python3.10)
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check -q
INTERFACES = $(wildcard msg/*.msg srv/*.srv action/*.action) CMakeLists.txt cmake/ros_wheels.cmake setup.py pyproject.toml
TORCH = torch==2.13.0
# what an extra of setup.py asks for, without building the package again
EXTRA = $(BIN)/python -c "import importlib.metadata as m, sys; print('\n'.join(r.split(';')[0] for r in \
  m.requires('cc_ros') if sys.argv[1] in r.split(';')[-1]))"

.PHONY: demo demo-nav test test-lowest eval-test lint docs pictures colcon clean help
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.installed
	@$(BIN)/cc-ros demo

# by the scripted model; and once by the model of your key, where there is one
EPISODES ?= 10
demo-nav: $(VENV)/.sim
	@$(BIN)/cc-ros sim --episodes $(EPISODES) --out demo-nav; status=$$?; \
	  test -z "$$OPENAI_API_KEY" || $(BIN)/cc-ros sim --episodes 1 --real-model --out demo-nav/real-model || true; \
	  exit $$status

# much of their time is waiting, for programs to start and for time limits: two files at a time
test: $(VENV)/.testable
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# the extra mcp asks for a newer pydantic than the rest
test-lowest: export PIP_CONSTRAINT = $(abspath test/lowest.txt)
test-lowest:
	$(MAKE) VENV=.venv-lowest PYTHON=$(call CHOOSE,12,python3.12 python3.11 python3.10) WITHOUT=mcp .venv-lowest/.pytest
	.venv-lowest/bin/python -m pytest $(addprefix test/,keyframes geometry nodes/convert sources test_encodings.py \
	  tracking/flow tracking/objects tracking/test_id_pool.py reasoning/replies reasoning/llm/test_probe.py reasoning/prompts runs)

eval-test:
	$(MAKE) VENV=.venv-eval .venv-eval/.evaluating
	.venv-eval/bin/python -m pytest test/evaluation/lmms test/evaluation/metrics

lint: $(VENV)/.lintable
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "build/docs/index.html"

# from the bundled bag; they are kept in docs/
pictures: $(VENV)/.installed
	$(BIN)/python docs/pictures.py

# The other way to install, as on a robot: colcon, here against the ROS 2 wheels, plain and with symlinks. `colcon test`
# is tried with one file of the tests, since `make test` runs them all; CI is emptied, as what torch is for is not there yet.
COLCON = PATH="$(abspath $(BIN)):$$PATH" AMENT_PREFIX_PATH=$(abspath $(VENV)) CMAKE_PREFIX_PATH=$(abspath $(VENV)) \
  CI= PYTEST_ADDOPTS="-k test_launch" $(BIN)/colcon --log-base build/colcon/log
colcon: $(VENV)/.colcon
	@rm -rf build/colcon
	@for how in "" --symlink-install; do \
	  rm -rf build/colcon/build/cc_ros/ament_cmake_python; : a build folder cannot change over with it; \
	  $(COLCON) build --paths . --build-base build/colcon/build --install-base build/colcon/install$$how $$how \
	    --cmake-args -G Ninja -DPython3_EXECUTABLE=$(abspath $(BIN))/python \
	    -DCMAKE_PROJECT_INCLUDE=$(abspath cmake/ros_wheels.cmake) && \
	  $(BIN)/python test/check_colcon.py build/colcon/install$$how/cc_ros || exit 1; \
	done
	@$(COLCON) test --paths . --build-base build/colcon/build --install-base build/colcon/install--symlink-install \
	  --event-handlers console_direct+ && $(BIN)/colcon test-result --test-result-base build/colcon/build

clean:
	rm -rf build demo demo-nav $(VENV) .venv-lowest .venv-eval *.egg-info

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "cc_ros needs Python 3.10 to 3.14, and none was found: apt install python3," \
	  "or name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) $(call SUITS,14) || { echo "$(PYTHON) does not run or is not Python 3.10 to 3.14"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) lacks venv: apt install python3-venv"; exit 1; }
	@command -v c++ >/dev/null || { echo "a C++ compiler is needed to compile the interfaces: apt install g++"; exit 1; }
	@$(PYTHON) -c 'import pathlib, sys, sysconfig as s; sys.exit(not pathlib.Path(s.get_path("include"), "Python.h").exists())' \
	  || { echo "$(PYTHON) lacks its headers: apt install python3-dev"; exit 1; }
	@test "$$(uname -m)" = x86_64 || { echo "the ROS 2 wheels are made for x86_64, this is $$(uname -m):" \
	  "install ROS 2 from apt and build with colcon, see docs/guide/robot.md"; exit 1; }
	@echo "== making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made $(INTERFACES)
	@echo "== installing cc_ros and the ROS 2 Kilted wheels, compiling the interfaces (once, some minutes)"
	@$(PIP) install --upgrade pip
	@$(PIP) install -e '.[web]'
	@touch $@

$(VENV)/.sim: $(VENV)/.installed
	@echo "== installing the simulator"
	@$(EXTRA) '"sim"' > $(VENV)/sim.txt && $(PIP) install -r $(VENV)/sim.txt
	@touch $@

$(VENV)/.pytest: $(VENV)/.installed
	@$(EXTRA) '"test"' | grep -v '^$(WITHOUT)>' > $(VENV)/test.txt && $(PIP) install -r $(VENV)/test.txt
	@touch $@

$(VENV)/.testable: $(VENV)/.pytest
	@echo "== installing what the tests need: torch and SAM 2 (once, some minutes)"
	@$(PIP) install $(TORCH) 'setuptools<80' wheel
	@SAM2_BUILD_CUDA=0 $(PIP) install --no-build-isolation sam2==1.1.0 $(TORCH)
	@touch $@

# lmms-eval does without torchvision, whose import takes a quarter of its start, and fails beside another kind of torch.
$(VENV)/.evaluating: $(VENV)/.pytest
	@echo "== installing lmms-eval (once, some minutes)"
	@$(EXTRA) '"eval"' > $(VENV)/eval.txt && $(PIP) install -r $(VENV)/eval.txt
	@$(PIP) uninstall -y torchvision
	@touch $@

$(VENV)/.lintable: $(VENV)/.installed
	@$(EXTRA) '"lint"' > $(VENV)/lint.txt && $(PIP) install -r $(VENV)/lint.txt
	@touch $@

$(VENV)/.docs: $(VENV)/.installed
	@echo "== installing what makes the documentation"
	@$(EXTRA) '"docs"' > $(VENV)/docs.txt && $(PIP) install -r $(VENV)/docs.txt
	@touch $@

$(VENV)/.colcon: $(VENV)/.installed
	@echo "== installing colcon and the build tools of ROS 2"
	@$(BIN)/python -c "from pip._vendor import tomli; print('\n'.join(tomli.load(open('pyproject.toml', 'rb'))['build-system']['requires']))" \
	  > $(VENV)/build-requires.txt
	@$(PIP) install -r $(VENV)/build-requires.txt colcon-common-extensions \
	  ros-kilted-ament-cmake-pytest pytest pytest-timeout hypothesis
	@touch $@
