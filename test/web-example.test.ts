import { test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { phoneAt, told } from './support/client-ends.js';
import { temporaryFolder } from './support/database.js';
import { inChromium, serverWithPage } from './support/page.js';

inChromium('the example of a page', (chromium) => {
  test('pairs by its link, and lists what comes in', async () => {
    const outDir = temporaryFolder();
    const vite = ['node_modules/vite/bin/vite.js', 'build', 'client/examples', '--outDir', outDir, '--emptyOutDir'];
    const env = { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '' };
    const { status, stderr } = spawnSync(process.execPath, vite, { encoding: 'utf8', env });
    if (status !== 0) throw new Error(stderr);
    await rename(join(outDir, 'browser.html'), join(outDir, 'index.html'));
    const server = await serverWithPage({ webFolder: outDir });
    const phone = await phoneAt(server.url);
    const page = await chromium.open(server, { expected: [/favicon/] });
    const link = await page.getByRole('link', { name: 'Give this link to the phone' }).getAttribute('href');
    await phone.pair(link!);
    await page.getByText('live, phone here').waitFor();
    await phone.putConversations([{ id: 't1', number: '+4915112345678', name: 'Bea' }]);
    await phone.putMessages([told('Hello, page')]);
    await page.getByRole('listitem').filter({ hasText: 'Bea (1): Hello, page' }).waitFor();
  });
});
