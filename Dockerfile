# docker build --build-arg VERSION=$(git describe --tags --always) --build-arg COMMIT=$(git rev-parse HEAD) --tag registry.example.com/sluice:dev .
#
# The program is static and finds all it needs in its pod, so that it needs no base; BASE may name one, such as a
# distroless static image. BUILDER is an image with Go in its path. For other processors, or several:
#
#     docker buildx build --platform linux/amd64,linux/arm64 …
#
# Go builds for them on the builder's own, and nothing is emulated. buildah has to be told which that is:
# --build-arg BUILDPLATFORM=linux/amd64.
#
# The same commit makes the same program wherever it is built, and the same image if the builder takes file times from
# SOURCE_DATE_EPOCH (docker buildx: rewrite-timestamp=true; buildah: --timestamp).
ARG BASE=scratch
ARG BUILDER=golang:1.26

FROM --platform=$BUILDPLATFORM $BUILDER AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY certs certs
COPY cmd cmd
COPY config config
COPY policies policies
COPY rego rego
COPY webhook webhook
ARG TARGETOS
ARG TARGETARCH
ARG VERSION
ARG COMMIT
ARG SOURCE_DATE_EPOCH=0
RUN CGO_ENABLED=0 GOOS=${TARGETOS:-linux} GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.linkedVersion=$VERSION -X main.linkedCommit=$COMMIT" -o /sluice ./cmd/sluice && \
    touch -d "@$SOURCE_DATE_EPOCH" /sluice

FROM $BASE
ARG VERSION
ARG COMMIT
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="A gate for Kubernetes network objects" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$COMMIT
COPY --from=build /sluice /sluice
USER 65532:65532
ENTRYPOINT ["/sluice"]
