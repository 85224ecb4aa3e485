package relay

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// command gives a command to the loop, which carries it out before the next packet that it looks at. The caller holds
// l.mu. It waits where the queue is full.
func (l *Loop) command(c command) { l.commandWith(c, nil) }

// commandWith is command with the bytes of commandWrite.
func (l *Loop) commandWith(c command, written []byte) {
	s := &l.m.loop
	tail := s.commandTail
	for tail-atomic.LoadUint32(&s.commandHead) >= commandSlots {
		l.kick()
		runtime.Gosched()
	}
	l.m.commands[tail%commandSlots] = c
	copy(l.m.writes[tail%commandSlots][:], written)
	atomic.StoreUint32(&s.commandTail, tail+1)
}

// kick ends the loop's wait, if it waits: it looks for commands before it does.
func (l *Loop) kick() {
	if l.m.loop.uring && atomic.LoadUint32(&l.m.loop.sleeping) == 0 {
		return
	}
	one := uint64(1)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(l.m.loop.kickFD), uintptr(unsafe.Pointer(&one)), 8)
}

// kickSoon is kick, but leaves it to a goroutine that serves, if one does: one for many commands.
func (l *Loop) kickSoon() {
	l.unkicked.Store(true)
	if atomic.LoadUint32(&l.m.loop.awake) == 0 && l.unkicked.Swap(false) {
		l.kick()
	}
}

// wake says that a goroutine serves a listener or the streams, until rest.
func (l *Loop) wake() { atomic.AddUint32(&l.m.loop.awake, 1) }

func (l *Loop) rest() {
	atomic.AddUint32(&l.m.loop.awake, ^uint32(0))
	if l.unkicked.Swap(false) {
		l.kick()
	}
	l.reap()
}

// openDescriptors makes the eventfds and the epoll.
func (l *Loop) openDescriptors() error {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create eventfd: %w", err)
	}
	l.m.loop.kickFD = int32(fd)
	for l.sinks < firstSink { // sinkRelays, sinkStreams
		if _, err := l.openSink(); err != nil {
			return err
		}
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create epoll: %w", err)
	}
	l.m.loop.epollFD = int32(epoll)
	for i := range l.m.headers {
		b := unsafe.Pointer(&l.m.buffers[i])
		l.m.vectors[i] = vector{uint64(uintptr(unsafe.Add(b, payloadAt))), payloadBytes}
		l.m.headers[i].msghdr = msghdr{
			name: uint64(uintptr(unsafe.Add(b, outBytes))), nameLen: nameBytes,
			iov: uint64(uintptr(unsafe.Pointer(&l.m.vectors[i]))), iovLen: 1,
			control: uint64(uintptr(unsafe.Add(b, controlAt))), controlLen: controlBytes,
		}
	}
	return nil
}

// openSink makes the next queue to Go. A listener's stays when it has ended.
func (l *Loop) openSink() (sink int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sink = l.sinks; sink == maxSinks {
		return 0, errSinks
	}
	if l.ups[sink], err = openUp(&l.m.up[sink]); err != nil {
		return 0, err
	}
	l.m.loop.upFD[sink] = int32(l.ups[sink].fd)
	l.sinks++
	return sink, nil
}

// errSinks says that a loop has no place for another listener.
var errSinks = fmt.Errorf("relay: a loop has at most %d listeners", maxSinks-firstSink)

// watchKick has the loop wait for kicks. It is called on the loop's thread.
func (l *Loop) watchKick() error {
	l.m.sockets[kickSocket] = socket{fd: l.m.loop.kickFD, kind: kindKick, state: stateOpen, started: true}
	l.m.loop.top = kickSocket + 1
	if l.m.loop.uring {
		l.m.armReceive(kickSocket)
		return nil
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: kickSocket}
	if err := unix.EpollCtl(int(l.m.loop.epollFD), unix.EPOLL_CTL_ADD, int(l.m.loop.kickFD), &event); err != nil {
		return fmt.Errorf("watch eventfd: %w", err)
	}
	return nil
}

// release gives everything back once no thread uses it.
func (l *Loop) release() error {
	var problems []error
	if l.ring != nil {
		problems = append(problems, l.ring.Close())
	}
	for _, h := range l.sockets {
		problems = append(problems, unix.Close(h.fd))
	}
	for _, memory := range l.spare {
		problems = append(problems, unmap(memory))
	}
	for _, u := range l.ups {
		if u != nil {
			problems = append(problems, u.release())
		}
	}
	for _, fd := range []int32{l.m.loop.kickFD, l.m.loop.epollFD} {
		if fd > 0 {
			problems = append(problems, unix.Close(int(fd)))
		}
	}
	return errors.Join(append(problems, unmap(l.mapped))...)
}

func unmap(memory []byte) error {
	if err := unix.Munmap(memory); err != nil {
		return fmt.Errorf("unmap: %w", err)
	}
	return nil
}

// errClosed says that the plane is closing.
var errClosed = errors.New("relay: the data plane is closed")

// errSockets says that a loop has no place for another socket.
var errSockets = fmt.Errorf("relay: a loop has at most %d sockets", maxSockets)

// errStreams says that a loop has no place for another stream.
var errStreams = fmt.Errorf("relay: a loop has at most %d streams", maxStreams)

// add enters a socket, which the loop then reads. The descriptor is the loop's from here on, if there is no error.
func (l *Loop) add(h *handle, kind uint32, sink int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	index, err := l.place(kind)
	if err != nil {
		return err
	}
	s := &l.m.sockets[index]
	*s = socket{
		fd: int32(h.fd), kind: kind, state: stateOpen, generation: s.generation + 1, sink: uint32(sink), buffers: h.buffers(),
	}
	h.loop, h.index, h.generation, h.ended = l, index, s.generation, make(chan struct{})
	l.sockets[index] = h
	l.command(command{op: commandAddSocket, socket: index})
	l.kickSoon()
	return nil
}

// place takes an entry for a socket. The caller holds l.mu.
func (l *Loop) place(kind uint32) (index uint32, err error) {
	switch {
	case l.closed:
		return 0, errClosed
	case kind == kindStream && l.streams >= maxStreams:
		return 0, errStreams
	case len(l.free) > 0:
		index = l.free[len(l.free)-1]
		l.free = l.free[:len(l.free)-1]
	case l.top < maxSockets:
		index = l.top
		l.top++
	default:
		return 0, errSockets
	}
	if kind == kindStream {
		l.streams++
	}
	return index, nil
}

// remove has the loop let go of a socket, which is closed when it has.
func (l *Loop) remove(index uint32) {
	l.mu.Lock()
	l.command(command{op: commandRemoveSocket, socket: index})
	l.mu.Unlock()
	l.kickSoon()
}

// reapSince is reap where the loop has let go of more sockets than seen, and returns how many it has by now. A goroutine
// that serves looks after each packet: under a flood it never rests, and nobody else is told meanwhile.
func (l *Loop) reapSince(seen uint32) (freed uint32) {
	if freed = atomic.LoadUint32(&l.m.loop.freed); freed != seen {
		l.reap()
	}
	return freed
}

// reap closes the sockets that the loop has let go of.
func (l *Loop) reap() {
	for _, receiver := range l.reapLocked() {
		receiver.Ended()
	}
}

// ender is told that the loop has let go of a socket.
type ender interface{ Ended() }

// reapLocked returns the receivers that are to be told.
func (l *Loop) reapLocked() (ended []ender) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ; l.reaped != atomic.LoadUint32(&l.m.loop.freed); l.reaped++ {
		index := l.m.letGo[l.reaped%maxSockets]
		h := l.sockets[index]
		if h.relay != nil {
			h.relay.readTraffic()
		}
		h.closeFD()
		atomic.StoreUint32(&l.m.sockets[index].state, stateFree)
		delete(l.sockets, index)
		l.free = append(l.free, index)
		close(h.ended)
		if h.stream != nil {
			l.streams--
			h.stream.release()
			ended = append(ended, h.stream.to)
		} else if to := h.relay.ending(); to != nil {
			ended = append(ended, to)
		}
	}
	return ended
}

func (h *handle) closeFD() {
	h.writing.Lock()
	defer h.writing.Unlock()
	h.gone = true
	_ = unix.Close(h.fd) // The socket is gone whatever it reports; what a connection has taken the kernel sends.
}

// sendRaw sends a datagram without blocking.
func sendRaw(fd int, p []byte, name *[nameBytes]byte, length uint32) error {
	var data unsafe.Pointer
	if len(p) > 0 {
		data = unsafe.Pointer(&p[0])
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(data), uintptr(len(p)), unix.MSG_DONTWAIT,
		uintptr(unsafe.Pointer(name)), uintptr(length))
	if errno != 0 && errno != unix.EAGAIN {
		return fmt.Errorf("send: %w", errno)
	}
	return nil
}

// sendFrom is sendRaw with the control message of sourceControl.
func sendFrom(
	fd int, p []byte, name *[nameBytes]byte, length uint32, control *[controlBytes / 8]uint64, controlLength uint32,
) error {
	vector := unix.Iovec{Base: unsafe.SliceData(p)}
	vector.SetLen(len(p))
	h := unix.Msghdr{Name: &name[0], Namelen: length, Iov: &vector, Iovlen: 1, Control: (*byte)(unsafe.Pointer(control))}
	h.SetControllen(int(controlLength))
	_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT)
	if errno != 0 && errno != unix.EAGAIN {
		return fmt.Errorf("send: %w", errno)
	}
	return nil
}

// sourceControl encodes the control message that has a datagram leave from an address of this host, through a socket of
// a family. Its length is 0 for an invalid address, which leaves the choice to the kernel.
func sourceControl(local netip.Addr, family int, control *[controlBytes / 8]uint64) (length uint32) {
	if !local.IsValid() {
		return 0
	}
	*control = [controlBytes / 8]uint64{}
	e, p := localEndpoint(local), unsafe.Pointer(control)
	if family == unix.AF_INET {
		*(*unix.Cmsghdr)(p) = unix.Cmsghdr{Len: info4Bytes, Level: unix.IPPROTO_IP, Type: unix.IP_PKTINFO}
		putWord(p, info4Source, uint32(e.lo))
		return info4Space
	}
	*(*unix.Cmsghdr)(p) = unix.Cmsghdr{Len: info6Bytes, Level: unix.IPPROTO_IPV6, Type: unix.IPV6_PKTINFO}
	for i, half := range [...]uint64{e.hi, e.lo} {
		putWord(p, info6Address+8*uintptr(i), uint32(half>>32))
		putWord(p, info6Address+8*uintptr(i)+4, uint32(half))
	}
	*(*uint32)(unsafe.Add(p, info6Index)) = e.scope
	return info6Space
}

// sockaddr encodes an address for a socket of a family.
func sockaddr(at netip.AddrPort, family int, name *[nameBytes]byte) (length uint32) {
	*name = [nameBytes]byte{}
	p := unsafe.Pointer(name)
	*(*uint16)(p) = uint16(family)
	putHalf(p, 2, at.Port())
	if family == unix.AF_INET {
		a := at.Addr().Unmap().As4()
		copy(name[4:], a[:])
		return unix.SizeofSockaddrInet4
	}
	a := at.Addr().As16()
	copy(name[8:], a[:])
	return unix.SizeofSockaddrInet6
}
