# One image for every service and tool of Steadypath: what differs is the command and the settings.
FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements-runtime.lock ./
# The tool that installs stays here: nothing in the running image can fetch code.
RUN python3 -m venv --without-pip /opt/steadypath \
 && python3 -m pip --python /opt/steadypath/bin/python install --quiet --no-cache-dir --require-hashes -r requirements-runtime.lock

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --no-create-home steadypath \
 && install -d -o steadypath -g steadypath -m 0700 /run/steadypath /var/lib/steadypath
WORKDIR /opt/app
COPY --from=build /opt/steadypath /opt/steadypath
COPY shared shared
COPY services services
COPY steadypath steadypath
COPY deploy/secrets deploy/secrets
# The file system is read-only where this runs: compiled now, or at every start.
RUN /opt/steadypath/bin/python -m compileall -q /opt/app
ENV PATH=/opt/steadypath/bin:$PATH PYTHONPATH=/opt/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER steadypath
CMD ["python", "-m", "steadypath", "--help"]
