import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Children, until } from './children.ts';
import { accepts, freePort } from './port.ts';

export interface Nginx {
  readonly child: ChildProcess;
  readonly port: number;
}

/**
 * Starts an nginx of one worker that keeps all its files in `folder`.
 * @param http what stands in the `http` block, for the port that the server is to listen on
 */
export async function startNginx(children: Children, folder: string, http: (port: number) => string): Promise<Nginx> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration(folder, http(port)));
  const child = children.start('nginx', ['-e', 'stderr', '-p', folder, '-c', file]);
  await until(child, 'nginx', () => accepts(port));
  return { child, port };
}

const configuration = (folder: string, http: string): string => `
daemon off;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 2048; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  keepalive_timeout 300s;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
${http}
}
`;
