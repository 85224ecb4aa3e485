//go:build linux

package bench

import (
	"fmt"
)

// take reads what has come for a client.
func (g *generator) take(i int) {
	c := &g.clients[i]
	if c.fd <= 0 {
		return
	}
	data, err := c.read(g.buffer)
	if err == nil && len(data) > 0 {
		err = g.takeData(i, data)
	}
	if err != nil {
		g.fail(i, err)
	}
}

func (g *generator) takeData(i int, data []byte) (err error) {
	c := &g.clients[i]
	if !c.open {
		if data, c.open, err = readHandshake(data); err != nil || !c.open {
			c.keep(data)
			return err
		}
		if join := g.dialect.join(i); join != nil {
			if err := c.write(clientFrame(opText, join)); err != nil {
				return err
			}
		}
	}
	for {
		opcode, payload, rest, ok, err := serverFrame(data)
		if err != nil || !ok {
			c.keep(data)
			return err
		}
		if err := g.takeFrame(i, opcode, payload); err != nil {
			return err
		}
		data = rest
	}
}

func (g *generator) takeFrame(i int, opcode byte, payload []byte) error {
	c := &g.clients[i]
	switch opcode {
	case opText:
		return g.takeText(i, payload)
	case opPing:
		return c.write(clientFrame(opPong, payload))
	case opClose:
		return fmt.Errorf("%w: %.100q", errGone, payload)
	}
	return nil
}

func (g *generator) takeText(i int, text []byte) error {
	c := &g.clients[i]
	what, word, reply := g.dialect.hear(i, text)
	switch what {
	case isNote:
		return g.takeNote(c, text)
	case isPing:
		if g.inWindow(g.clock.Now()) {
			g.result.Beats++
		}
		return c.write(clientFrame(opText, reply))
	case isReady:
		c.ready = true
		g.ready++
		g.connectTimes = append(g.connectTimes, int64(g.clock.Now().Sub(c.began)))
		g.partner(c, word)
	case hasPartner:
		g.partner(c, word)
	case isRefusal:
		return fmt.Errorf("the server refused: %.300s", word)
	}
	return nil
}

func (g *generator) partner(c *client, id string) {
	if id != "" && c.note == nil {
		c.note, c.kindAt = noteFrame(g.dialect, id)
		g.partnered++
	}
}

func (g *generator) takeNote(c *client, text []byte) error {
	kind, asked, ok := readNote(text)
	if !ok {
		return fmt.Errorf("a note came changed: %.300q", text)
	}
	now := g.clock.Now()
	if g.inWindow(now) {
		g.result.Messages++
	}
	if kind == kindAsk {
		stampNote(c.note, c.kindAt, kindReply, asked)
		return c.write(c.note)
	}
	if g.inWindow(asked) {
		g.result.RoundTrips++
		g.roundTrips = append(g.roundTrips, int64(now.Sub(asked)))
	}
	return nil
}
