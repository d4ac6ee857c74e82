# The desk in a container. Two kinds, chosen by TARGET:
#   cpu   no compiler, PyTorch for the CPU
#   cuda  PyTorch with its CUDA libraries; gcc and the C library's headers stay in it, because Triton compiles a small
#         launcher for the attention kernel on the machine where it first runs. Without them the desk works, slower.
# No CUDA base image: PyTorch's wheels carry all of CUDA that is used, and the driver comes from the host.
#
#   docker build --build-arg TARGET=cpu --build-arg TORCH_INDEX=ADDRESS -t rex-desk:cpu .
#   docker build --build-arg TARGET=cuda -t rex-desk:cuda .
#   docker build --build-arg MODEL=iic/nlp_deberta_rex-uninlu_chinese-base --build-arg MODEL_REVISION=TAG -t rex-desk .
ARG TARGET=cpu
ARG PYTHON=3.12.11-slim-bookworm

FROM python:${PYTHON} AS packages
# The address of PyTorch's wheels for the CPU, from its installation page. Empty: pip's own, which are those with CUDA and
# several gigabytes larger.
ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/venv
COPY requirements.txt /tmp/requirements.txt
# PyTorch first and in a layer of its own: it is the largest part and changes least.
RUN torch="$(sed -n 's/^\(torch==[^ #]*\).*/\1/p' /tmp/requirements.txt)" \
    && /opt/venv/bin/pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$torch"
RUN /opt/venv/bin/pip install -r /tmp/requirements.txt \
    && find /opt/venv -type d \( -name tests -o -name test \) -path '*/site-packages/*' \
        ! -path '*/torch/*' -prune -exec rm -rf {} + \
    && find /opt/venv -name '__pycache__' -type d -prune -exec rm -rf {} +

FROM python:${PYTHON} AS base-cpu
FROM python:${PYTHON} AS base-cuda
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

FROM base-${TARGET} AS desk
ARG MODEL=""
ARG MODEL_REVISION=master
RUN useradd --system --uid 10001 --create-home --home-dir /home/desk desk \
    && install -d -o desk -g desk -m 700 /data
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY LICENSE README.md CHANGELOG.md requirements.txt ./
COPY .streamlit ./.streamlit
COPY data/presets ./data/presets
COPY data/samples ./data/samples
COPY data/known_answers.json ./data/known_answers.json
COPY data/models/rex-mini-zh ./data/models/rex-mini-zh
COPY core ./core
COPY pages ./pages
COPY streamlit_app ./streamlit_app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 REX_PRELOAD=true
# A model that is named at build time is fetched now and is part of the image; the included one is there anyhow. `.env` is
# where settings are read that the container is not given.
RUN if [ -n "$MODEL" ]; then \
        REX_DATA_DIR=/tmp/fetched REX_MODEL="$MODEL" REX_MODEL_REVISION="$MODEL_REVISION" python -c "import shutil; \
from core.config import Settings; from core.model.checkpoint import locate; s = Settings(); \
found = locate(s.model, revision=s.model_revision, download_dir=s.download_dir); \
shutil.copytree(found, '/opt/models/' + s.model.rpartition('/')[2])" \
        && rm -rf /tmp/fetched && echo "REX_MODEL=/opt/models/${MODEL##*/}" > /app/.env; \
    fi
# All addresses are listened on, so whoever comes is asked who he is; accounts: python -m core user add
ENV REX_DATA_DIR=/data REX_HEALTH_PORT=9464 REX_AUTH=accounts
USER desk
VOLUME /data
EXPOSE 8501
# Ready means that the model is loaded: the first start of a card compiles and measures, hence the long grace.
HEALTHCHECK --interval=15s --timeout=5s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9464/readyz', timeout=4)"]
# Inside the container all addresses; which of them can be reached from outside, compose.yaml decides.
CMD ["python", "-m", "streamlit_app.serve", "--server.port=8501", "--server.address=0.0.0.0", "--server.headless=true", "--browser.gatherUsageStats=false"]
