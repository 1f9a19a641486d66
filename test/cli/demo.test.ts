import { expect, test } from 'vitest';
import { run } from '../support/command.ts';

test('the demo pulls a private image without a credential, shows the refusal, and exits with 0', async () => {
  const { code, stdout, stderr } = await run(['demo']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/\+ {6}image: localhost:\d+\/namespaces\/demo\/connectors\/registry\/team\/app:v1/);
  expect(stdout).toContain('was pulled without any credential: 4 digests checked');
  expect(stdout).toContain('is refused: 401 Unauthorized');
});
