# Set up and run on a machine without ROS: Debian or Ubuntu, Python 3.10 to 3.12, a C++ compiler.
#   make demo    the whole way, from a bag to answers and a report
#   make test    the tests
# Each sets up what it needs in .venv, once.

PYTHON ?= $(shell for p in python3.12 python3.11 python3.10 python3; do \
  $$p -c 'import sys; raise SystemExit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check -q
INTERFACES = $(wildcard msg/*.msg srv/*.srv action/*.action) CMakeLists.txt cmake/ros_wheels.cmake setup.py pyproject.toml
TORCH = torch==2.13.0
# what an extra of setup.py asks for, without building the package again
EXTRA = $(BIN)/python -c "import importlib.metadata as m, sys; print('\n'.join(r.split(';')[0] for r in \
  m.requires('cc_ros') if sys.argv[1] in r.split(';')[-1]))"

.PHONY: demo test lint colcon clean help
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.installed
	@$(BIN)/cc-ros demo

test: $(VENV)/.testable
	$(BIN)/python -m pytest

lint: $(VENV)/.lintable
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The other way to install, as on a robot: colcon, here against the ROS 2 wheels, plain and with symlinks.
colcon: $(VENV)/.colcon
	@rm -rf build/colcon
	@for how in "" --symlink-install; do \
	  rm -rf build/colcon/build/cc_ros/ament_cmake_python; : a build folder cannot change over with it; \
	  PATH="$(abspath $(BIN)):$$PATH" AMENT_PREFIX_PATH=$(abspath $(VENV)) CMAKE_PREFIX_PATH=$(abspath $(VENV)) \
	    $(BIN)/colcon --log-base build/colcon/log build --paths . --build-base build/colcon/build \
	    --install-base build/colcon/install$$how $$how --cmake-args -G Ninja -DBUILD_TESTING=OFF \
	    -DPython3_EXECUTABLE=$(abspath $(BIN))/python \
	    -DCMAKE_PROJECT_INCLUDE=$(abspath cmake/ros_wheels.cmake) && \
	  $(BIN)/python test/check_colcon.py build/colcon/install$$how/cc_ros || exit 1; \
	done

clean:
	rm -rf build demo $(VENV) *.egg-info

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "cc_ros needs Python 3.10, 3.11 or 3.12, and none was found: apt install python3," \
	  "or name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@command -v c++ >/dev/null || { echo "a C++ compiler is needed to compile the interfaces: apt install g++"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) lacks venv: apt install python3-venv"; exit 1; }
	@echo "== making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made $(INTERFACES)
	@echo "== installing cc_ros and the ROS 2 Kilted wheels, compiling the interfaces (once, some minutes)"
	@$(PIP) install --upgrade pip
	@$(PIP) install -e .
	@touch $@

$(VENV)/.testable: $(VENV)/.installed
	@echo "== installing what the tests need: torch and SAM 2 (once, some minutes)"
	@$(EXTRA) '"test"' > $(VENV)/test.txt && $(PIP) install -r $(VENV)/test.txt
	@$(PIP) install $(TORCH) 'setuptools<80' wheel
	@SAM2_BUILD_CUDA=0 $(PIP) install --no-build-isolation sam2==1.1.0 $(TORCH)
	@touch $@

$(VENV)/.lintable: $(VENV)/.installed
	@$(EXTRA) '"lint"' > $(VENV)/lint.txt && $(PIP) install -r $(VENV)/lint.txt
	@touch $@

$(VENV)/.colcon: $(VENV)/.installed
	@echo "== installing colcon and the build tools of ROS 2"
	@$(BIN)/python -c "from pip._vendor import tomli; print('\n'.join(tomli.load(open('pyproject.toml', 'rb'))['build-system']['requires']))" \
	  > $(VENV)/build-requires.txt
	@$(PIP) install -r $(VENV)/build-requires.txt colcon-common-extensions
	@touch $@
