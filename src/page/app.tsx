import { Chat } from './chat/chat.tsx';
import type { ContributeProps } from './contribute.tsx';
import { Lend } from './lend.tsx';
import { PipelineView } from './pipeline-view.tsx';

export function App(props: ContributeProps) {
  return (
    <>
      <header>
        <svg viewBox="0 0 32 32" width="30" height="30" aria-hidden="true">
          <path fill="currentColor" d="M3 16c6-9 15-9 20-2l6-5v14l-6-5c-5 7-14 7-20-2z" />
          <circle cx="11" cy="14" r="1.6" fill="var(--bg)" />
        </svg>
        <h1>Shoal</h1>
        <p class="muted">one language model, many browser tabs</p>
      </header>
      <main>
        <div class="side">
          <Lend {...props} />
          <PipelineView />
        </div>
        <Chat />
      </main>
      <footer class="muted small">
        Whoever serves layers, or lends an endpoint, can read the prompts that pass through. Do not send
        secrets.
      </footer>
    </>
  );
}
