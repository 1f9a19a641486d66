import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeSelfSigned } from '../test/support/certificate.ts';
import type { Children } from './children.ts';
import { startNginx } from './nginx.ts';

/** A registry that costs as little as one can: nginx with a token in its configuration. */
export interface Origin {
  readonly url: string;
  /** PEM file to trust, with TLS. */
  readonly caFile: string | undefined;
  /** Of a certificate for 127.0.0.1, whether it is used or not. */
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Files below it are what the registry has. */
  readonly content: string;
  /** What a request has to carry; the token comes from `/token`, for any credential. */
  readonly authorization: string;
}

export const repository = 'team/app';
export const manifestTail = 'manifests/v1';
export const blobBytes = 256 * 2 ** 20;
export const largeBlobBytes = 2 ** 30;
/** Nobody here checks what the bytes are: the digests only have to look like some. */
export const blobTail = `blobs/sha256:${'0256'.repeat(16)}`;
export const largeBlobTail = `blobs/sha256:${'1024'.repeat(16)}`;

const opaqueToken = 'bench-token-'.padEnd(600, '0123456789abcdef');
/** Bytes a second of each answer from the repositories below `linked/`: those of 2.5 Gbit/s. */
export const linkBytesPerSecond = 312_500_000;

/**
 * Starts it with its content in `folder`: a manifest of 2 KB, and blobs that are all hole and so need no disk.
 * @param token what it gives out and takes
 */
export async function startOrigin(
  children: Children,
  folder: string,
  isTls: boolean,
  token: string = opaqueToken,
): Promise<Origin> {
  const content = join(folder, 'content');
  const own = join(content, 'v2', repository);
  mkdirSync(join(own, 'manifests'), { recursive: true });
  mkdirSync(join(own, 'blobs'), { recursive: true });
  writeFileSync(join(own, manifestTail), manifest());
  for (const [tail, bytes] of [
    [blobTail, blobBytes],
    [largeBlobTail, largeBlobBytes],
  ] as const) {
    writeFileSync(join(own, tail), '');
    truncateSync(join(own, tail), bytes);
  }
  const { key, cert } = makeSelfSigned(['127.0.0.1', 'localhost']);
  const [keyFile, certificateFile] = [join(folder, 'tls.key'), join(folder, 'tls.crt')];
  writeFileSync(keyFile, key, { mode: 0o600 });
  writeFileSync(certificateFile, cert);
  const tls = isTls ? `ssl_certificate ${certificateFile}; ssl_certificate_key ${keyFile};` : '';
  const scheme = isTls ? 'https' : 'http';
  const { port } = await startNginx(children, join(folder, 'origin'), (listenPort) =>
    configuration(content, `127.0.0.1:${listenPort}`, scheme, tls, token),
  );
  const url = `${scheme}://127.0.0.1:${port}`;
  const caFile = isTls ? certificateFile : undefined;
  return { url, caFile, certificateFile, keyFile, content, authorization: `Bearer ${token}` };
}

/** The order of the conditions of nginx's own manual: `if` with nothing but `return` in it is safe. */
const configuration = (content: string, address: string, scheme: string, tls: string, token: string): string => `
  open_file_cache max=64;
  map_hash_bucket_size 2048;
  map $http_authorization $denied { default 1; "Bearer ${token}" 0; }
  map $denied $challenge { default ""; 1 'Bearer realm="${scheme}://${address}/token",service="bench"'; }
  server {
    listen ${address}${scheme === 'https' ? ' ssl' : ''};
    ${tls}
    root ${content};
    location = /token { default_type application/json; return 200 '{"token":"${token}","expires_in":600}'; }
    location / {
      default_type application/octet-stream;
      add_header WWW-Authenticate $challenge always;
      add_header Docker-Distribution-Api-Version registry/2.0 always;
      if ($denied) { return 401; }
      location ~ ^/v2/${repository}/manifests/ { default_type application/vnd.oci.image.manifest.v1+json;
        add_header Docker-Content-Digest sha256:${'ab12'.repeat(16)};
        add_header Docker-Distribution-Api-Version registry/2.0;
        if ($denied) { return 401; }
      }
      location ~ /manifests/ { default_type application/vnd.oci.image.manifest.v1+json;
        if ($denied) { return 401; }
      }
      location = /v2/ { default_type application/json;
        if ($denied) { return 401; }
        return 200 '{}';
      }
      location ~ ^/v2/linked/ { limit_rate ${linkBytesPerSecond};
        if ($denied) { return 401; }
      }
    }
  }`;

function manifest(): string {
  const layer = (at: number) => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    digest: `sha256:${at.toString(16).padStart(64, '0')}`,
    size: 1_000_000 + at,
  });
  const layers = Array.from({ length: 11 }, (_, at) => layer(at));
  return JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', layers });
}
