import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { makeFolder, run } from '../support/command.ts';

describe('the command line', () => {
  test.each([['--help'], ['standalone', '--help'], ['mutate', '--help'], ['explain', '--help'], ['demo', '--help']])(
    'helps: %s %s',
    async (...args) => {
      const { code, stdout } = await run(args.filter(Boolean));
      expect(code).toBe(0);
      expect(stdout).toContain('Usage: oci-connector');
    },
  );

  test.each<[string, readonly string[], RegExp]>([
    ['an unknown command', ['pull'], /unknown command 'pull'/],
    ['an unknown option', ['standalone', '--manifest', 'x'], /unknown option '--manifest'/],
    ['no manifests', ['standalone'], /--manifests DIR is needed/],
    [
      'an address without port',
      ['standalone', '--manifests', 'x', '--proxy', 'localhost'],
      /--proxy is "localhost": write host:port/,
    ],
    [
      'a port that is none',
      ['standalone', '--manifests', 'x', '--webhook', '127.0.0.1:99999'],
      /--webhook is "127.0.0.1:99999"/,
    ],
    [
      'no callers on an open address',
      ['standalone', '--manifests', 'x', '--proxy', '0.0.0.0:7450'],
      /--callers none lets everybody pull/,
    ],
    [
      'no callers on another address',
      ['standalone', '--manifests', 'x', '--proxy', '10.0.0.1:7450'],
      /listen on 127.0.0.1 or ::1/,
    ],
    [
      'no callers on an open address for HTTPS',
      ['standalone', '--manifests', 'x', '--proxy-https', '0.0.0.0:8445'],
      /--callers none lets everybody pull and push who reaches --proxy-https 0.0.0.0:8445/,
    ],
    [
      'no callers on all IPv6 addresses',
      ['standalone', '--manifests', 'x', '--proxy', '[::]:7450'],
      /--callers none lets everybody pull/,
    ],
    ['a log level that is none', ['standalone', '--manifests', 'x', '--log-level', 'loud'], /--log-level is one of/],
    ['mutate without file', ['mutate', '--manifests', 'x'], /--filename/],
    [
      'mutate with an unknown format',
      ['mutate', '-f', '-', '--manifests', 'x', '-o', 'xml'],
      /-o is one of yaml, json, patch, diff/,
    ],
    ['mutate with an empty namespace', ['mutate', '-f', '-', '--manifests', 'x', '-n', ''], /-n is "": write the name/],
    ['mutate with an empty file', ['mutate', '-f', '', '--manifests', 'x'], /-f is empty: name a manifest/],
    ['mutate with an empty folder', ['mutate', '-f', '-', '--manifests', ''], /--manifests is empty: name the folder/],
    [
      'mutate with an image host that is a URL',
      ['mutate', '-f', '-', '--manifests', 'x', '--image-host', 'http://x y'],
      /--image-host is "http:\/\/x y": write the registry host/,
    ],
    ['explain with an empty namespace', ['explain', 'a', '--manifests', 'x', '-n', ''], /-n is "": write the name/],
    ['explain with an empty folder', ['explain', 'a', '--manifests', ''], /--manifests is empty: name the folder/],
    [
      'explain with an empty image host',
      ['explain', 'a', '--manifests', 'x', '--image-host', ''],
      /--image-host is ""/,
    ],
    ['explain of what is no image', ['explain', 'Not An Image', '--manifests', 'x'], /is not an image/],
  ])('answers %s with exit code 2 and what to write', async (_name, args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('    at ');
  });

  test('answers manifests that cannot be used with exit code 1, file, line and field', async () => {
    await using folder = await makeFolder();
    await folder.write(
      'bad.yaml',
      'apiVersion: connectors.alauda.io/v1alpha1\nkind: Connector\nmetadata: {name: a}\nspec: {connectorClassName: oci, adress: https://x, address: https://y}\n',
    );
    const { code, stderr } = await run(['standalone', '--manifests', folder.path, '--certs', `${folder.path}/certs`]);
    expect(code).toBe(1);
    expect(stderr).toContain('bad.yaml:4: spec.adress: unknown field');
  });

  test.each(['stdout', 'stderr'] as const)('ends without a word when nobody reads its %s', async (closed) => {
    await using folder = await makeFolder();
    const pod = (at: number): string => `apiVersion: v1\nkind: Pod\nmetadata: { name: app-${at} }\nspec: {}\n`;
    // More than a pipe holds.
    const pods = await folder.write('pods', Array.from({ length: 3000 }, (_, at) => pod(at)).join('---\n'));
    const args = ['mutate', '-f', pods, '--manifests', folder.path, '-o', 'json'];
    const child = spawn(process.execPath, [join(import.meta.dirname, '../../cli/main.ts'), ...args]);
    child[closed].destroy();
    const [said, [code]] = await Promise.all([
      closed === 'stdout' ? text(child.stderr) : text(child.stdout),
      once(child, 'exit'),
    ]);
    expect(code).toBe(0);
    expect(said).not.toMatch(/EPIPE|^ {4}at /m);
  });
});
