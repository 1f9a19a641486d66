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
});
