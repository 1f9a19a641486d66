import { readFile } from 'node:fs/promises';
import type { Cluster } from './cluster.ts';

/** Keys of all that etcd holds whose value has `text` in it, raw or in base64. */
export async function keysInEtcdWith(cluster: Cluster, text: string): Promise<string[]> {
  const pid = cluster.pid('etcd');
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8');
  const [, origin] = /--listen-client-urls[=\0](http:\/\/[^\0,]+)/.exec(commandLine) ?? [];
  const everything = Buffer.from('\0').toString('base64');
  const response = await fetch(`${origin}/v3/kv/range`, {
    method: 'POST',
    body: JSON.stringify({ key: everything, range_end: everything }),
  });
  const { kvs = [] } = (await response.json()) as { kvs?: { key: string; value: string }[] };
  if (kvs.length === 0) throw new Error('etcd told nothing: the search would prove nothing');
  const wanted = [text, Buffer.from(text).toString('base64').replace(/=+$/, '')];
  return kvs
    .filter(({ value }) => wanted.some((spelling) => Buffer.from(value ?? '', 'base64').includes(spelling)))
    .map(({ key }) => Buffer.from(key, 'base64').toString());
}
