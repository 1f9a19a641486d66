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

const token = 'bench-token-'.padEnd(600, '0123456789abcdef');

/** Starts it with its content in `folder`: a manifest of 2 KB, and blobs that are all hole and so need no disk. */
export async function startOrigin(children: Children, folder: string, isTls: boolean): Promise<Origin> {
  const content = join(folder, 'content/v2', repository);
  mkdirSync(join(content, 'manifests'), { recursive: true });
  mkdirSync(join(content, 'blobs'), { recursive: true });
  writeFileSync(join(content, manifestTail), manifest());
  for (const [tail, bytes] of [
    [blobTail, blobBytes],
    [largeBlobTail, largeBlobBytes],
  ] as const) {
    writeFileSync(join(content, tail), '');
    truncateSync(join(content, tail), bytes);
  }
  const { key, cert } = makeSelfSigned(['127.0.0.1']);
  const [keyFile, caFile] = [join(folder, 'tls.key'), join(folder, 'tls.crt')];
  writeFileSync(keyFile, key, { mode: 0o600 });
  writeFileSync(caFile, cert);
  const tls = isTls ? `ssl_certificate ${caFile}; ssl_certificate_key ${keyFile};` : '';
  const scheme = isTls ? 'https' : 'http';
  const { port } = await startNginx(children, join(folder, 'origin'), (listenPort) =>
    configuration(join(folder, 'content'), `127.0.0.1:${listenPort}`, scheme, tls),
  );
  const url = `${scheme}://127.0.0.1:${port}`;
  return { url, caFile: isTls ? caFile : undefined, authorization: `Bearer ${token}` };
}

/** The order of the conditions of nginx's own manual: `if` with nothing but `return` in it is safe. */
const configuration = (content: string, address: string, scheme: string, tls: string): string => `
  open_file_cache max=16;
  map_hash_bucket_size 2048;
  map $http_authorization $denied { default 1; "Bearer ${token}" 0; }
  map $denied $challenge { default ""; 1 'Bearer realm="${scheme}://${address}/token",service="bench"'; }
  server {
    listen ${address}${scheme === 'https' ? ' ssl' : ''};
    ${tls}
    root ${content};
    location = /token { default_type application/json; return 200 '{"token":"${token}","expires_in":86400}'; }
    location / {
      default_type application/octet-stream;
      add_header WWW-Authenticate $challenge always;
      add_header Docker-Distribution-Api-Version registry/2.0 always;
      if ($denied) { return 401; }
      location ~ /manifests/ { default_type application/vnd.oci.image.manifest.v1+json;
        add_header Docker-Content-Digest sha256:${'ab12'.repeat(16)};
        add_header Docker-Distribution-Api-Version registry/2.0;
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
