import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ProxyError } from '../../platform/errors.ts';
import { publishRequest, tokensAttribute, unpublishRequest } from './support/kubelet.ts';
import { requireMounts } from './support/require-mounts.ts';
import { openScene } from './support/scene.ts';

const canary = 'canary-3f9a1c';

requireMounts()('the token of a pod', () => {
  test.each(['volume_context', 'secrets'] as const)('out of %s is in the files, and nowhere else', async (tokenIn) => {
    await using parts = new AsyncDisposableStack();
    const { kubeletRoot, source, node, target, lines, results, timers } = await openScene(parts);
    const path = await target('a');
    const answers: string[] = [];
    const call = async (method: string, request: object) => {
      answers.push(JSON.stringify(await node.call(method, request)));
    };
    const publish = (token: string, more = {}) =>
      call('NodePublishVolume', { ...publishRequest(path, { token, tokenIn }), ...more });
    const { answer } = source;

    await publish(canary);
    await publish(canary);
    await publish(`${canary}-2`);
    await publish(canary, { readonly: false });
    await publish(canary, { volume_context: { [tokensAttribute]: `{"oci-connector":"${canary}` } });
    await publish('x'.repeat(20_000) + canary);
    source.answer = () => {
      throw new Error(`the centre said ${canary}`);
    };
    await publish(`${canary}-3`);
    // A centre that was away is left alone for a moment.
    await timers.advance(5_000);
    source.answer = () => {
      throw new ProxyError('CALLER_UNKNOWN', 'the token is not known', { cause: new Error('no') });
    };
    await publish(`${canary}-4`);
    source.answer = answer;
    await publish(`${canary}-5`);

    // On the disk it is in no file, and on the tmpfs in the one that is to hold it.
    const found = (folder: string, ...flags: string[]) =>
      execFileSync('sh', ['-c', `grep -rl ${flags.join(' ')} ${canary} ${folder} || true`], { encoding: 'utf8' });
    expect(found(`${path}/..data/`).trim().split('\n')).toEqual([`${path}/..data/context.token`]);
    await call('NodeUnpublishVolume', unpublishRequest(path));
    expect(found(kubeletRoot, '--devices=skip')).toBe('');
    expect(await readdir(kubeletRoot)).not.toContain('state');
    expect(answers).toHaveLength(10);
    expect(lines.filter((line) => line.includes('volume refused')).length).toBeGreaterThan(3);
    expect([...answers, ...lines, ...results].filter((text) => text.includes(canary))).toEqual([]);
  });
});
