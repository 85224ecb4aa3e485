import type { ComponentChildren } from 'preact';

interface Props {
  open: boolean;
  /** The id of what is shown. */
  controls: string;
  onToggle(): void;
  testId?: string | undefined;
  children: ComponentChildren;
}

/** A button that shows and hides something below it. */
export function Disclosure({ open, controls, onToggle, testId, children }: Props) {
  return (
    <button
      type="button"
      class="disclosure"
      aria-expanded={open}
      aria-controls={open ? controls : undefined}
      onClick={onToggle}
      data-testid={testId}
    >
      {children}
    </button>
  );
}
