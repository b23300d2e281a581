# docker build --build-arg VERSION=$(git describe --tags --always) --tag registry.example.com/sluice:dev .
#
# The program is static and finds all it needs in its pod, so that it needs no base; BASE may name one, such as a
# distroless static image.
ARG BASE=scratch

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
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
RUN CGO_ENABLED=0 GOOS=${TARGETOS:-linux} GOARCH=$TARGETARCH go build -trimpath \
    -ldflags "-s -w -X main.linkedVersion=$VERSION -X main.linkedCommit=$COMMIT" -o /sluice ./cmd/sluice

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
